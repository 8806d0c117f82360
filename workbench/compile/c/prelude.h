/* What every generated program builds on: mathematics, integer division, memory, BLAS.
 *
 * <math.h> is left out on purpose. With the declarations below gcc calls glibc's vector
 * variants (libmvec) from plain loops, without -ffast-math; where there are none the scalar
 * functions are declared. Vector results differ from the exact ones by at most 4 ulp.
 */
#ifndef WB_PRELUDE
#define WB_PRELUDE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "abi.h"
#include "lanes.h"

#define NAN __builtin_nanf("")
#define INFINITY __builtin_inff()

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && \
    (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 35)
#define WB_VECTOR __attribute__((simd("notinbranch"), const))
#else
#define WB_VECTOR __attribute__((const))
#endif

/* Moved, but never computed with: a half is turned to a float and back, see wb_from_half. */
typedef uint16_t wb_half;
typedef float _Complex wb_complex64;
typedef double _Complex wb_complex128;

/* The float that a half stands for. A half is the upper 16 bits of a float whose exponent is 112 smaller. */
static inline float wb_from_half(wb_half half) {
  const uint32_t sign = (uint32_t)(half & 0x8000u) << 16, rest = half & 0x7fffu;
  uint32_t bits = rest << 13;
  float value;
  memcpy(&value, &bits, 4);
  value *= 0x1p112f;
  memcpy(&bits, &value, 4);
  bits = (rest >= 0x7c00u ? 0x7f800000u | rest << 13 : bits) | sign;
  memcpy(&value, &bits, 4);
  return value;
}

/* The nearest half, of two the even one; from 65520 on infinity. */
static inline wb_half wb_half_of_float(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  const uint32_t sign = bits >> 16 & 0x8000u, size = bits & 0x7fffffffu;
  float small;
  memcpy(&small, &size, 4);
  small += 0.5f; /* floats from 0.5 on are 2^-24 apart, as the smallest halves are */
  uint32_t tiny;
  memcpy(&tiny, &small, 4);
  const uint32_t usual = (size + 0xfffu + (size >> 13 & 1u) - 0x38000000u) >> 13;
  const uint32_t nan = 0x7c00u | (size >> 13 & 0x3ffu) | 0x200u;
  const uint32_t half = size > 0x7f800000u ? nan
                        : size >= 0x477ff000u ? 0x7c00u
                        : size < 0x38800000u ? tiny - 0x3f000000u : usual;
  return (wb_half)(half | sign);
}

/* By way of a float that is rounded to odd: an inexact one never lies half way between two halves. */
static inline wb_half wb_half_of_double(double x) {
  float near = (float)x;
  uint32_t bits;
  memcpy(&bits, &near, 4);
  if (x == x && (double)near != x) {
    if (__builtin_fabs((double)near) > __builtin_fabs(x)) bits -= 1;
    bits |= 1;
  }
  memcpy(&near, &bits, 4);
  return wb_half_of_float(near);
}

#define WB_CONST __attribute__((const))

/* Under names of our own: gcc knows identities of the standard ones that do not hold for NaN, infinity or
   a signed zero, as cos(atan(x)) = 1 / sqrt(1 + x*x) and pow(x, 0.5) = sqrt(x), and uses them in places. */
#define WB_UNARY(kind, name) \
  kind double wb_##name(double) __asm__(#name); kind float wb_##name##f(float) __asm__(#name "f");
#define WB_BINARY(kind, name) \
  kind double wb_##name(double, double) __asm__(#name); kind float wb_##name##f(float, float) __asm__(#name "f");
WB_UNARY(WB_VECTOR, exp) WB_UNARY(WB_VECTOR, exp2) WB_UNARY(WB_VECTOR, expm1)
WB_UNARY(WB_VECTOR, log) WB_UNARY(WB_VECTOR, log2) WB_UNARY(WB_VECTOR, log10) WB_UNARY(WB_VECTOR, log1p)
WB_UNARY(WB_VECTOR, sin) WB_UNARY(WB_VECTOR, cos) WB_UNARY(WB_VECTOR, tan)
WB_UNARY(WB_VECTOR, asin) WB_UNARY(WB_VECTOR, acos) WB_UNARY(WB_VECTOR, atan)
WB_UNARY(WB_VECTOR, sinh) WB_UNARY(WB_VECTOR, cosh) WB_UNARY(WB_VECTOR, tanh)
WB_UNARY(WB_VECTOR, asinh) WB_UNARY(WB_VECTOR, acosh) WB_UNARY(WB_VECTOR, atanh)
WB_UNARY(WB_VECTOR, cbrt) WB_UNARY(WB_VECTOR, erf) WB_UNARY(WB_VECTOR, erfc) WB_UNARY(WB_CONST, tgamma)
WB_BINARY(WB_VECTOR, pow) WB_BINARY(WB_VECTOR, atan2) WB_BINARY(WB_VECTOR, hypot)
#define exp wb_exp
#define expf wb_expf
#define exp2 wb_exp2
#define exp2f wb_exp2f
#define expm1 wb_expm1
#define expm1f wb_expm1f
#define log wb_log
#define logf wb_logf
#define log2 wb_log2
#define log2f wb_log2f
#define log10 wb_log10
#define log10f wb_log10f
#define log1p wb_log1p
#define log1pf wb_log1pf
#define sin wb_sin
#define sinf wb_sinf
#define cos wb_cos
#define cosf wb_cosf
#define tan wb_tan
#define tanf wb_tanf
#define asin wb_asin
#define asinf wb_asinf
#define acos wb_acos
#define acosf wb_acosf
#define atan wb_atan
#define atanf wb_atanf
#define sinh wb_sinh
#define sinhf wb_sinhf
#define cosh wb_cosh
#define coshf wb_coshf
#define tanh wb_tanh
#define tanhf wb_tanhf
#define asinh wb_asinh
#define asinhf wb_asinhf
#define acosh wb_acosh
#define acoshf wb_acoshf
#define atanh wb_atanh
#define atanhf wb_atanhf
#define cbrt wb_cbrt
#define cbrtf wb_cbrtf
#define erf wb_erf
#define erff wb_erff
#define erfc wb_erfc
#define erfcf wb_erfcf
#define tgamma wb_tgamma
#define tgammaf wb_tgammaf
#define hypot wb_hypot
#define hypotf wb_hypotf
#define pow wb_pow
#define powf wb_powf
#define atan2 wb_atan2
#define atan2f wb_atan2f

/* These have no such identities, and are single instructions. */
#define WB_EXACT(name) WB_CONST double name(double); WB_CONST float name##f(float);
WB_EXACT(sqrt) WB_EXACT(fabs) WB_EXACT(floor) WB_EXACT(ceil) WB_EXACT(trunc) WB_EXACT(rint) WB_EXACT(round)
WB_CONST double fmod(double, double); WB_CONST float fmodf(float, float);
WB_CONST double copysign(double, double); WB_CONST float copysignf(float, float);
double lgamma_r(double, int *); float lgammaf_r(float, int *); /* lgamma writes a global sign */

#define WB_UNUSED __attribute__((unused))
#define WB_ONCE __attribute__((weak, visibility("hidden"))) /* a program may be compiled in several files */
#if defined(__clang__)
#define WB_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define WB_INDEPENDENT _Pragma("GCC ivdep") /* no iteration of the loop reads or writes what another one writes */
#endif

/* --- failing and memory ------------------------------------------------------------------ */

__attribute__((cold, noinline)) static int wb_fail(wb_call *c, int64_t code, int64_t node, int64_t axis, int64_t a, int64_t b) {
  c->failure = (wb_failure){code, node, axis, a, b};
  return (int)code;
}

/* New memory; NULL when there is none. Much of it is asked for in pages of 2 MiB, which a system
   that has them fills at once: one fault where there were 512, and the first call waits less. */
WB_UNUSED static void *wb_fresh(int64_t bytes) {
  const size_t page = (size_t)1 << 21, asked = bytes > 64 ? (size_t)bytes : 64;
  const size_t whole = (asked + page - 1) & -page, wanted = whole - asked < asked / 8 ? whole : asked;
  void *fresh = NULL;
  if (posix_memalign(&fresh, wanted < page ? 64 : page, wanted)) return NULL;
#ifdef __linux__
  extern int madvise(void *, size_t, int);
  if (wanted >= page) madvise(fresh, wanted, 14 /* MADV_HUGEPAGE */); /* advice alone: it may fail */
#endif
  return fresh;
}

/* Makes slot `number` hold `bytes`; what was in it is lost when it has to grow. */
WB_UNUSED __attribute__((noinline)) static int wb_reserve(wb_call *c, int64_t number, int64_t bytes) {
  wb_slot *slot = &c->slot[number];
  if (slot->data && slot->bytes >= bytes) return WB_OK;
  void *fresh = wb_fresh(bytes);
  if (!fresh) return wb_fail(c, WB_OUT_OF_MEMORY, -1, 0, bytes, 0);
  free(slot->data);
  slot->data = fresh;
  slot->bytes = bytes;
  return WB_OK;
}

/* The memory of slot `number`, which holds `bytes`; NULL when there is none. */
WB_UNUSED static inline void *wb_slot_of(wb_call *c, int64_t number, int64_t bytes) {
  return wb_reserve(c, number, bytes) ? NULL : c->slot[number].data;
}
WB_UNUSED static inline int64_t wb_larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* The memory of output `number`, of the given shape; NULL when there is none. */
WB_UNUSED static inline void *wb_output_of(wb_call *c, int64_t number, int ndim, const int64_t *shape) {
  for (int k = 0; k < ndim; ++k) c->output[number].shape[k] = shape[k];
  void *data = c->alloc(c, number);
  if (!data) wb_fail(c, WB_OUT_OF_MEMORY, -1, 0, 0, 0);
  return data;
}

/* Runs a part for all of 0 <= i < size: at once, or in ranges by several threads when there is work for
   them. One iteration costs about as much as `work` additions. Ranges begin at multiples of the grain: if
   that is one of 64, the same elements are computed in vectors for any ranges, and all bits are equal. */
WB_UNUSED static inline int wb_share(wb_call *c, wb_part *part, int64_t size, int64_t work) {
  int64_t grain = work > 0 ? WB_WORTH / work + 1 : size;
  if (grain > 64) grain = (grain + 63) / 64 * 64;
  return size > grain && c->split ? c->split(c, part, size, grain) : part(c, 0, size);
}

/* Whether the call is to stop: asked before a library call of so many products, when these may take long. */
WB_UNUSED static inline int wb_pause(wb_call *c, double products) {
  return products > 1e7 && c->pause && c->pause(c);
}

/* --- division: rounded towards minus infinity, 0 for an integer divided by 0, as NumPy ---- */

/* Shifts by more places than there are, or by a negative number of them, move every bit out. */
#define WB_SHIFTS(T, name, OUT)                                                                      \
  WB_UNUSED static inline T wb_left_shift_##name(T a, T b) {                                         \
    return (T)((uint64_t)b < 8 * sizeof(T) ? (uint64_t)a << b : 0);                                  \
  }                                                                                                  \
  WB_UNUSED static inline T wb_right_shift_##name(T a, T b) {                                        \
    return (T)((uint64_t)b < 8 * sizeof(T) ? a >> b : OUT);                                          \
  }

/* Of absolute values A, B in the unsigned type U; what does not fit wraps. */
#define WB_DIVISORS(T, name, A, B, U)                                                                \
  WB_UNUSED static T wb_gcd_##name(T a, T b) {                                                       \
    U m = A, n = B;                                                                                  \
    while (m) {                                                                                      \
      const U r = (U)(n % m);                                                                        \
      n = m;                                                                                         \
      m = r;                                                                                         \
    }                                                                                                \
    return (T)n;                                                                                     \
  }                                                                                                  \
  WB_UNUSED static T wb_lcm_##name(T a, T b) {                                                       \
    const U both = (U)wb_gcd_##name(a, b), m = A, n = B;                                             \
    return (T)(both ? (U)((uint64_t)(m / both) * n) : 0);                                            \
  }

#define WB_SIGNED(T, name)                                               \
  WB_UNUSED static inline T wb_floordiv_##name(T a, T b) {               \
    if (b == 0) return 0;                                                \
    if (b == -1) return (T)(0 - (u##T)a);                                \
    T q = (T)(a / b);                                                    \
    return (T)(q - (a % b != 0 && (a < 0) != (b < 0)));                  \
  }                                                                      \
  WB_UNUSED static inline T wb_mod_##name(T a, T b) {                    \
    if (b == 0 || b == -1) return 0;                                     \
    T r = (T)(a % b);                                                    \
    return (T)(r != 0 && (r < 0) != (b < 0) ? r + b : r);                \
  }                                                                      \
  WB_UNUSED static inline T wb_fmod_##name(T a, T b) {                   \
    return (T)(b == 0 || b == -1 ? 0 : a % b);                           \
  }                                                                      \
  WB_SHIFTS(T, name, (a < 0 ? -1 : 0))                                   \
  WB_DIVISORS(T, name, (u##T)(a < 0 ? 0 - (u##T)a : (u##T)a), (u##T)(b < 0 ? 0 - (u##T)b : (u##T)b), u##T)
#define WB_UNSIGNED(T, name)                                                            \
  WB_UNUSED static inline T wb_floordiv_##name(T a, T b) { return b ? (T)(a / b) : 0; } \
  WB_UNUSED static inline T wb_mod_##name(T a, T b) { return b ? (T)(a % b) : 0; }      \
  WB_UNUSED static inline T wb_fmod_##name(T a, T b) { return b ? (T)(a % b) : 0; }     \
  WB_SHIFTS(T, name, 0)                                                                 \
  WB_DIVISORS(T, name, a, b, T)
WB_SIGNED(int8_t, int8) WB_SIGNED(int16_t, int16) WB_SIGNED(int32_t, int32) WB_SIGNED(int64_t, int64)
WB_UNSIGNED(uint8_t, uint8) WB_UNSIGNED(uint16_t, uint16) WB_UNSIGNED(uint32_t, uint32) WB_UNSIGNED(uint64_t, uint64)

/* Where possible arguments are chosen, not results: a loop with a call in one branch does not vectorise. */
#define WB_REAL(T, name, f)                                              \
  WB_UNUSED static inline T wb_mod_##name(T a, T b) {                    \
    T r = fmod##f(a, b);                                                 \
    if (b == 0) return r;                                                \
    if (r != 0) return (b < 0) != (r < 0) ? r + b : r;                   \
    return copysign##f(0, b);                                            \
  }                                                                      \
  WB_UNUSED static inline T wb_floordiv_##name(T a, T b) {               \
    if (b == 0) return a / b;                                            \
    T r = fmod##f(a, b), q = (a - r) / b;                                \
    if (r != 0 && (b < 0) != (r < 0)) q -= 1;                            \
    if (q == 0) return copysign##f(0, a / b);                            \
    T low = floor##f(q);                                                 \
    return q - low > (T)0.5 ? low + 1 : low;                             \
  }                                                                      \
  WB_UNUSED static inline T wb_logaddexp##f(T x, T y) {                  \
    const T d = x == y ? 0 : -fabs##f(x - y);                            \
    return (x > y ? x : y) + log1p##f(exp##f(d));                        \
  }                                                                      \
  WB_UNUSED static inline T wb_logaddexp2##f(T x, T y) {                 \
    const T d = x == y ? 0 : -fabs##f(x - y);                            \
    return (x > y ? x : y) + (T)1.442695040888963407 * log1p##f(exp2##f(d)); \
  }                                                                      \
  WB_UNUSED static inline T wb_log1mexp##f(T x) {                        \
    return x > (T)-0.693147180559945309 ? log##f(-expm1##f(x)) : log1p##f(-exp##f(x)); \
  }                                                                      \
  WB_UNUSED static inline T wb_sinc##f(T x) {                            \
    const T z = x == 0 ? (T)1e-9 : (T)3.141592653589793238 * x;          \
    return sin##f(z) / z;                                                \
  }                                                                      \
  WB_UNUSED static inline T wb_logit##f(T x) {                           \
    if (x < (T)0.3 || x > (T)0.65) return log##f(x / (1 - x));           \
    return log1p##f((2 * x - 1) / (1 - x));                              \
  }                                                                      \
  WB_UNUSED static inline T wb_ndtr##f(T x) {                            \
    return (T)0.5 * erfc##f(-x * (T)0.707106781186547524);               \
  }                                                                      \
  WB_UNUSED static inline T wb_xlogy##f(T x, T y) {                      \
    const int nothing = x == 0 && y == y;                                \
    return (nothing ? 0 : x) * log##f(nothing ? 1 : y);                  \
  }                                                                      \
  WB_UNUSED static inline T wb_xlog1py##f(T x, T y) {                    \
    const int nothing = x == 0 && y == y;                                \
    return (nothing ? 0 : x) * log1p##f(nothing ? 0 : y);                \
  }                                                                      \
  WB_UNUSED static inline T wb_xlogx##f(T x) {                           \
    const T factor = x > 0 ? x : x == 0 ? 0 : NAN;                       \
    return factor * log##f(x > 0 ? x : (T)2.718281828459045235);         \
  }                                                                      \
  WB_UNUSED static inline T wb_entr##f(T x) {                            \
    const T factor = x > 0 ? -x : x == 0 ? 0 : x < 0 ? -INFINITY : x;    \
    return factor * log##f(x > 0 ? x : (T)2.718281828459045235);         \
  }                                                                      \
  WB_UNUSED static inline T wb_lgamma##f(T x) {                          \
    int sign;                                                            \
    return x == -INFINITY ? x : lgamma##f##_r(x, &sign);                 \
  }
WB_REAL(double, float64, ) WB_REAL(float, float32, f)

/* exp(x^2) erfc(x). Where x >= 0 (x + 1/2) erfcx(x) is smooth in t = (x - 3.75) / (x + 3.75): its Chebyshev
   series, as Shepherd and Laframboise (1981) found, written in powers of t; 3 ulp. Below 0 it is
   2 exp(x^2) - erfcx(-x), with the rounding of x^2 made good. */
WB_UNUSED static double wb_erfcx(double x) {
  static const double c[] = {
      -1.311553673566738e-09, -9.775679434492808e-10, 1.598963335833402e-08,  9.39541161185024e-09,
      -1.2428563124008372e-07, -2.542232689343651e-08, 8.709910793112408e-07, -4.896312853651762e-07,
      -5.719024016673447e-06, 1.1193782857455908e-05, 2.582326487088708e-05,  -0.00014507767623038828,
      0.000146857189022479,   0.0008778130825985326,  -0.004873289841632631,  0.01418113868605557,
      -0.02934669928832467,   0.046152160582140625,   -0.05440196507122231,   0.04113836924499753,
      0.0017927077427395128,  -0.07012029929277262,   0.6187563154189137};
  const double size = fabs(x), t = 1 - 7.5 / (size + 3.75);
  double sum = 0;
  for (int k = 0; k < 23; ++k) sum = sum * t + c[k];
  sum /= size + 0.5;
  if (!(x < 0)) return sum;
  const double square = x * x;
  if (square > 720) return INFINITY;
  return 2 * (exp(square) * (1 + __builtin_fma(x, x, -square))) - sum;
}
/* log(erfc(x)), and log(ndtr(x)) by the same two ways: where the function is near 1 or 2 its distance from
   there, elsewhere erfcx. */
WB_UNUSED static double wb_log_erfc(double x) {
  return x < 0.5 ? log1p(-erf(x)) : log(wb_erfcx(x)) - x * x;
}
WB_UNUSED static double wb_log_ndtr(double x) {
  const double z = x * -0.707106781186547524;
  return x > -0.7 ? log1p(-0.5 * erfc(-z)) : log(0.5 * wb_erfcx(z)) - 0.5 * x * x;
}
WB_UNUSED static float wb_erfcxf(float x) { return (float)wb_erfcx(x); }
WB_UNUSED static float wb_log_erfcf(float x) { return (float)wb_log_erfc(x); }
WB_UNUSED static float wb_log_ndtrf(float x) { return (float)wb_log_ndtr(x); }

/* --- float to integer: towards zero; what does not fit becomes what x86 makes of it ------- */

/* Without trapping math gcc 12 takes (double)(int64_t)x for trunc(x), which is -0 for -0.5 where the
   conversions give 0. It cannot know that this is 0, so it keeps the integer. */
WB_ONCE int64_t wb_zero;

WB_UNUSED static inline int64_t wb_to_int64(double x) {
  return x >= -9223372036854775808.0 && x < 9223372036854775808.0 ? (int64_t)x + wb_zero : INT64_MIN;
}
WB_UNUSED static inline int32_t wb_to_int32(double x) {
  return x > -2147483649.0 && x < 2147483648.0 ? (int32_t)x + (int32_t)wb_zero : INT32_MIN;
}
WB_UNUSED static inline int16_t wb_to_int16(double x) { return (int16_t)wb_to_int32(x); }
WB_UNUSED static inline int8_t wb_to_int8(double x) { return (int8_t)wb_to_int32(x); }
WB_UNUSED static inline uint32_t wb_to_uint32(double x) { return (uint32_t)wb_to_int64(x); }
WB_UNUSED static inline uint16_t wb_to_uint16(double x) { return (uint16_t)wb_to_int32(x); }
WB_UNUSED static inline uint8_t wb_to_uint8(double x) { return (uint8_t)wb_to_int32(x); }
WB_UNUSED static inline uint64_t wb_to_uint64(double x) {
  if (x >= 9223372036854775808.0) return x < 18446744073709551616.0 ? (uint64_t)x : 0;
  return (uint64_t)wb_to_int64(x);
}

/* --- random numbers: the same bits as core/philox.py, operation for operation -------------- */

#define WB_INLINE WB_UNUSED static inline __attribute__((always_inline, const))
#define WB_LOW UINT64_C(0xFFFFFFFF)

/* The words are kept in 64 bits: so gcc multiplies eight (four) blocks at a time, twice as fast as from 32 bits. */
#define WB_PHILOX_ROUND(r) do {                                                                             \
    const uint64_t a = UINT64_C(0xD2511F53) * x0, b = UINT64_C(0xCD9E8D57) * x2;                            \
    x0 = (b >> 32) ^ x1 ^ ((k0 + r * UINT64_C(0x9E3779B9)) & WB_LOW);                                       \
    x2 = (a >> 32) ^ x3 ^ ((k1 + r * UINT64_C(0xBB67AE85)) & WB_LOW);                                       \
    x1 = b & WB_LOW;                                                                                        \
    x3 = a & WB_LOW;                                                                                        \
  } while (0);

/* Philox4x32-10, Salmon and others (2011): the first or second 64 bits of a block. */
WB_INLINE uint64_t wb_philox(uint64_t key, uint64_t counter, uint64_t index, int half) {
  const uint64_t k0 = key & WB_LOW, k1 = key >> 32;
  uint64_t x0 = index & WB_LOW, x1 = index >> 32, x2 = counter & WB_LOW, x3 = counter >> 32;
  WB_PHILOX_ROUND(0) WB_PHILOX_ROUND(1) WB_PHILOX_ROUND(2) WB_PHILOX_ROUND(3) WB_PHILOX_ROUND(4)
  WB_PHILOX_ROUND(5) WB_PHILOX_ROUND(6) WB_PHILOX_ROUND(7) WB_PHILOX_ROUND(8) WB_PHILOX_ROUND(9)
  return half ? x3 << 32 | x2 : x1 << 32 | x0;
}

WB_INLINE uint64_t wb_high(uint64_t x, uint64_t y) {
  const uint64_t x0 = x & WB_LOW, x1 = x >> 32, y0 = y & WB_LOW, y1 = y >> 32, middle = x1 * y0 + (x0 * y0 >> 32);
  return x1 * y1 + (middle >> 32) + (((middle & WB_LOW) + x0 * y1) >> 32);
}
WB_INLINE uint64_t wb_below(uint64_t first, uint64_t second, uint64_t size) {
  const uint64_t low = first * size;
  return wb_high(first, size) + (low + wb_high(second, size) < low);
}

/* The logarithm of a normal positive number: x = 2^e m, log m = 2 artanh((m - 1) / (m + 1)). */
WB_INLINE double wb_log_float64(double x) {
  int64_t word;
  memcpy(&word, &x, 8);
  const int64_t e = (word - INT64_C(0x3FE6A09E667F3BCD)) >> 52;
  word -= (int64_t)((uint64_t)e << 52);
  double m, p = 1.0 / 21;
  memcpy(&m, &word, 8);
  const double s = (m - 1) / (m + 1), z = s * s;
  p = p * z + 1.0 / 19, p = p * z + 1.0 / 17, p = p * z + 1.0 / 15, p = p * z + 1.0 / 13, p = p * z + 1.0 / 11;
  p = p * z + 1.0 / 9, p = p * z + 1.0 / 7, p = p * z + 1.0 / 5, p = p * z + 1.0 / 3;
  return (double)e * 0.6931471805599453 + (s + s * (z * p)) * 2;
}
WB_INLINE float wb_log_float32(float x) {
  int32_t word;
  memcpy(&word, &x, 4);
  const int32_t e = (word - 0x3F3504F3) >> 23;
  word -= (int32_t)((uint32_t)e << 23);
  float m, p = (float)(1.0 / 11);
  memcpy(&m, &word, 4);
  const float s = (m - 1) / (m + 1), z = s * s;
  p = p * z + (float)(1.0 / 9), p = p * z + (float)(1.0 / 7), p = p * z + (float)(1.0 / 5), p = p * z + (float)(1.0 / 3);
  return (float)e * 0.6931471805599453f + (s + s * (z * p)) * 2;
}

WB_INLINE double wb_exponential_float64(uint64_t bits) { return -wb_log_float64((double)(int64_t)(bits >> 1 | 1) * 0x1p-63); }
WB_INLINE float wb_exponential_float32(uint64_t bits) { return -wb_log_float32((float)(int32_t)(bits >> 33 | 1) * 0x1p-31f); }

#define WB_POLY3(r, a, b, c) (((a) * r + (b)) * r + (c))
#define WB_POLY4(r, a, b, c, d) (WB_POLY3(r, a, b, c) * r + (d))
#define WB_POLY8(r, a, b, c, d, e, f, g, h) ((((WB_POLY4(r, a, b, c, d) * r + (e)) * r + (f)) * r + (g)) * r + (h))

/* Wichura (1988), AS 241: the point beyond which a normal variable lies with probability v in (0, 1/2]. */
WB_INLINE double wb_upper_point_float64(double v) {
  const double q = 0.5 - v, root = sqrt(-wb_log_float64(v));
  const int central = q <= 0.425, far = root > 5;
  const double c = 0.180625 - q * q, t = root - 1.6, f = root - 5;
  const double central_above = WB_POLY8(c, 2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4,
    4.5921953931549871457e4, 1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080e0);
  const double central_under = WB_POLY8(c, 5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4,
    2.1213794301586595867e4, 5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0);
  const double tail_above = WB_POLY8(t, 7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1,
    1.27045825245236838258e0, 3.64784832476320460504e0, 5.76949722146069140550e0, 4.63033784615654529590e0, 1.42343711074968357734e0);
  const double tail_under = WB_POLY8(t, 1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2,
    1.48103976427480074590e-1, 6.89767334985100004550e-1, 1.67638483018380384940e0, 2.05319162663775882187e0, 1.0);
  const double far_above = WB_POLY8(f, 2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3,
    2.65321895265761230930e-2, 2.96560571828504891230e-1, 1.78482653991729133580e0, 5.46378491116411436990e0, 6.65790464350110377720e0);
  const double far_under = WB_POLY8(f, 2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5,
    7.86869131145613259100e-4, 1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0);
  return (central ? q * central_above : far ? far_above : tail_above) / (central ? central_under : far ? far_under : tail_under);
}
WB_INLINE float wb_upper_point_float32(float v) {
  const float q = 0.5f - v;
  const int central = q <= 0.425f;
  const float c = 0.180625f - q * q, t = sqrtf(-wb_log_float32(v)) - 1.6f;
  const float central_above = WB_POLY4(c, 5.9109374720e1f, 1.5929113202e2f, 5.0434271938e1f, 3.3871327179e0f);
  const float central_under = WB_POLY4(c, 6.7187563600e1f, 7.8757757664e1f, 1.7895169469e1f, 1.0f);
  const float tail_above = WB_POLY4(t, 1.7023821103e-1f, 1.3067284816e0f, 2.7568153900e0f, 1.4234372777e0f);
  const float tail_under = WB_POLY3(t, 1.2021132975e-1f, 7.3700164250e-1f, 1.0f);
  return (central ? q * central_above : tail_above) / (central ? central_under : tail_under);
}

WB_INLINE double wb_normal_float64(uint64_t bits) {
  const double z = wb_upper_point_float64((double)(int64_t)(bits >> 1 | 1) * 0x1p-64);
  return bits & 1 ? -z : z;
}
WB_INLINE float wb_normal_float32(uint64_t bits) {
  const float z = wb_upper_point_float32((float)(int32_t)(bits >> 33 | 1) * 0x1p-32f);
  return bits >> 32 & 1 ? -z : z;
}
WB_INLINE double wb_normal_point(double x) {
  const double z = wb_upper_point_float64(x < 1 - x ? x : 1 - x);
  return x < 0.5 ? -z : z;
}

/* --- products ----------------------------------------------------------------------------- */

#ifndef WB_BLAS_INT
#define WB_BLAS_INT int
#endif
#ifndef WB_BLAS_THREADS
#define WB_BLAS_THREADS 1
#endif
typedef WB_BLAS_INT wb_int;
#define WB_ROW_MAJOR 101
#define WB_PLAIN 111
#define WB_TRANSPOSED 112

#define WB_CBLAS(T, s)                                                                                       \
  typedef void wb_##s##gemm_t(int, int, int, wb_int, wb_int, wb_int, T, const T *, wb_int, const T *, wb_int, T, T *, wb_int); \
  typedef void wb_##s##gemv_t(int, int, wb_int, wb_int, T, const T *, wb_int, const T *, wb_int, T, T *, wb_int);              \
  typedef T wb_##s##dot_t(wb_int, const T *, wb_int, const T *, wb_int);
WB_CBLAS(float, s) WB_CBLAS(double, d)

WB_ONCE void *const *wb_blas;

/* c [m, n] = alpha a [m, k] b [k, n] + beta c, where an element of a lies at i a0 + j a1; c is contiguous. */
#define WB_MATMUL(T, name)                                                                            \
  WB_UNUSED static void wb_matmul_##name(int64_t m, int64_t n, int64_t k, T alpha, const T *a, int64_t a0, int64_t a1, \
                                         const T *b, int64_t b0, int64_t b1, T beta, T *c) {          \
    for (int64_t i = 0; i < m; ++i) {                                                                 \
      T *restrict const row = c + i * n;                                                              \
      if (beta != 1) for (int64_t j = 0; j < n; ++j) row[j] = (T)(beta == 0 ? 0 : beta * row[j]);     \
      for (int64_t l = 0; l < k; ++l) {                                                               \
        const T x = (T)(alpha * a[i * a0 + l * a1]), *const from = b + l * b0;                        \
        if (b1 == 1) for (int64_t j = 0; j < n; ++j) row[j] = (T)(row[j] + x * from[j]);              \
        else for (int64_t j = 0; j < n; ++j) row[j] = (T)(row[j] + x * from[j * b1]);                 \
      }                                                                                               \
    }                                                                                                 \
  }
WB_MATMUL(int8_t, int8) WB_MATMUL(int16_t, int16) WB_MATMUL(int32_t, int32) WB_MATMUL(int64_t, int64)
WB_MATMUL(uint8_t, uint8) WB_MATMUL(uint16_t, uint16) WB_MATMUL(uint32_t, uint32) WB_MATMUL(uint64_t, uint64)
WB_MATMUL(float, float32_loops) WB_MATMUL(double, float64_loops)

/* OpenBLAS has kernels that copy nothing for up to 10^6 multiplications; for wide AVX-512 registers they are
   so much better (1.1 to 1.4 times as fast) that products of up to 60 times as many are cut into blocks. */
#ifdef __AVX512F__
#define WB_BLOCKED 6.4e7
#else
#define WB_BLOCKED 0
#endif

/* The same by the library when there is one. One stride of each matrix is 1, or its axis has size 1. Where
   alpha is 0 the library would not look at the matrices, and miss a NaN. */
#define WB_PRODUCT(T, name, s, GEMM)                                                                        \
  WB_UNUSED static void wb_matmul_##name(int64_t m, int64_t n, int64_t k, T alpha, const T *a, int64_t a0, int64_t a1, \
                                         const T *b, int64_t b0, int64_t b1, T beta, T *c) {                \
    if (m == 0 || n == 0) return;                                                                           \
    if (k <= 1 || alpha == 0 || !wb_blas) {                                                                 \
      wb_matmul_##name##_loops(m, n, k, alpha, a, a0, a1, b, b0, b1, beta, c);                              \
      return;                                                                                               \
    }                                                                                                       \
    const int ta = a1 != 1, tb = !(b1 == 1 || n == 1);                                                      \
    int64_t lda = ta ? a1 : a0, ldb = tb ? b1 : b0;                                                         \
    if (lda < (ta ? m : k)) lda = ta ? m : k;                                                               \
    if (ldb < (tb ? k : n)) ldb = tb ? k : n;                                                               \
    int64_t rows = m, columns = n;                                                                          \
    const double work = (double)m * (double)n * (double)k;                                                  \
    if (WB_BLAS_THREADS == 1 && work > 1e6 && (n <= 32 || work < WB_BLOCKED)) {                             \
      const int64_t wide = n <= 96 ? n : 64, fit = 1000000 / (wide * k) / (n <= 32 ? 32 : 8) * (n <= 32 ? 32 : 8); \
      if (fit > 0) rows = fit, columns = wide;                                                              \
    }                                                                                                       \
    for (int64_t j = 0; j < n; j += columns)                                                                \
      for (int64_t i = 0; i < m; i += rows)                                                                 \
        ((wb_##s##gemm_t *)wb_blas[GEMM])(WB_ROW_MAJOR, ta ? WB_TRANSPOSED : WB_PLAIN, tb ? WB_TRANSPOSED : WB_PLAIN, \
                                          (wb_int)(m - i < rows ? m - i : rows), (wb_int)(n - j < columns ? n - j : columns), \
                                          (wb_int)k, alpha, a + i * a0, (wb_int)lda, b + j * b1, (wb_int)ldb, beta, \
                                          c + i * n + j, (wb_int)n);                                        \
  }                                                                                                         \
  /* y [m] = alpha a [m, k] x [k] + beta y */                                                               \
  WB_UNUSED static void wb_matvec_##name(int64_t m, int64_t k, T alpha, const T *a, int64_t a0, int64_t a1, \
                                         const T *x, int64_t x0, T beta, T *y) {                            \
    if (m == 0) return;                                                                                     \
    if (k == 0 || alpha == 0 || !wb_blas || m * k < 100) {                                                  \
      for (int64_t i = 0; i < m; ++i) {                                                                     \
        T sum = 0;                                                                                          \
        for (int64_t l = 0; l < k; ++l) sum += a[i * a0 + l * a1] * x[l * x0];                              \
        y[i] = beta == 0 ? alpha * sum : alpha * sum + beta * y[i];                                         \
      }                                                                                                     \
      return;                                                                                               \
    }                                                                                                       \
    const int t = !(a1 == 1 || k == 1);                                                                     \
    int64_t lda = t ? a1 : a0;                                                                              \
    if (lda < (t ? m : k)) lda = t ? m : k;                                                                 \
    ((wb_##s##gemv_t *)wb_blas[GEMM + 2])(WB_ROW_MAJOR, t ? WB_TRANSPOSED : WB_PLAIN, (wb_int)(t ? k : m),  \
                                          (wb_int)(t ? m : k), alpha, a, (wb_int)lda, x, (wb_int)(x0 ? x0 : 1), beta, y, 1); \
  }                                                                                                         \
  WB_UNUSED static T wb_inner_##name(int64_t k, const T *x, int64_t x0, const T *y, int64_t y0) {           \
    if (!wb_blas || k < 24) {                                                                               \
      T sum = 0;                                                                                            \
      for (int64_t l = 0; l < k; ++l) sum += x[l * x0] * y[l * y0];                                         \
      return sum;                                                                                           \
    }                                                                                                       \
    return ((wb_##s##dot_t *)wb_blas[GEMM + 4])((wb_int)k, x, (wb_int)x0, y, (wb_int)y0);                   \
  }
WB_PRODUCT(float, float32, s, WB_SGEMM) WB_PRODUCT(double, float64, d, WB_DGEMM)

/* c *= beta; a zero of beta keeps NaN, as the library would not. */
#define WB_SCALE(T, name) \
  WB_UNUSED static void wb_scale_##name(int64_t n, T beta, T *c) { for (int64_t i = 0; i < n; ++i) c[i] *= beta; }
WB_SCALE(float, float32) WB_SCALE(double, float64)
WB_SCALE(int8_t, int8) WB_SCALE(int16_t, int16) WB_SCALE(int32_t, int32) WB_SCALE(int64_t, int64)
WB_SCALE(uint8_t, uint8) WB_SCALE(uint16_t, uint16) WB_SCALE(uint32_t, uint32) WB_SCALE(uint64_t, uint64)

#endif
