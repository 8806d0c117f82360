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

#define NAN __builtin_nanf("")
#define INFINITY __builtin_inff()

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && \
    (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 35)
#define WB_VECTOR __attribute__((simd("notinbranch"), const))
#else
#define WB_VECTOR __attribute__((const))
#endif

/* Moved, but never computed with. */
typedef uint16_t wb_half;
typedef float _Complex wb_complex64;
typedef double _Complex wb_complex128;

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
WB_BINARY(WB_VECTOR, pow) WB_BINARY(WB_VECTOR, atan2)
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
#define pow wb_pow
#define powf wb_powf
#define atan2 wb_atan2
#define atan2f wb_atan2f

/* These have no such identities, and are single instructions. */
#define WB_EXACT(name) WB_CONST double name(double); WB_CONST float name##f(float);
WB_EXACT(sqrt) WB_EXACT(fabs) WB_EXACT(floor) WB_EXACT(ceil) WB_EXACT(trunc) WB_EXACT(rint)
WB_CONST double fmod(double, double); WB_CONST float fmodf(float, float);
WB_CONST double copysign(double, double); WB_CONST float copysignf(float, float);

#define WB_UNUSED __attribute__((unused))
#define WB_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define WB_LANES 16 /* partial accumulators of a reduction: one fixed order of summation that vectorises */

/* --- failing and memory ------------------------------------------------------------------ */

__attribute__((cold, noinline)) static int wb_fail(wb_call *c, int64_t code, int64_t node, int64_t axis, int64_t a, int64_t b) {
  c->failure = (wb_failure){code, node, axis, a, b};
  return (int)code;
}

/* Makes slot `number` hold `bytes`; what was in it is lost when it has to grow. */
WB_UNUSED __attribute__((noinline)) static int wb_reserve(wb_call *c, int64_t number, int64_t bytes) {
  wb_slot *slot = &c->slot[number];
  if (slot->data && slot->bytes >= bytes) return WB_OK;
  void *fresh = NULL;
  if (posix_memalign(&fresh, 64, bytes > 64 ? (size_t)bytes : 64)) return wb_fail(c, WB_OUT_OF_MEMORY, -1, 0, bytes, 0);
  free(slot->data);
  slot->data = fresh;
  slot->bytes = bytes;
  return WB_OK;
}

/* --- division: rounded towards minus infinity, 0 for an integer divided by 0, as NumPy ---- */

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
  }
#define WB_UNSIGNED(T, name)                                                            \
  WB_UNUSED static inline T wb_floordiv_##name(T a, T b) { return b ? (T)(a / b) : 0; } \
  WB_UNUSED static inline T wb_mod_##name(T a, T b) { return b ? (T)(a % b) : 0; }
WB_SIGNED(int8_t, int8) WB_SIGNED(int16_t, int16) WB_SIGNED(int32_t, int32) WB_SIGNED(int64_t, int64)
WB_UNSIGNED(uint8_t, uint8) WB_UNSIGNED(uint16_t, uint16) WB_UNSIGNED(uint32_t, uint32) WB_UNSIGNED(uint64_t, uint64)

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
    if (x == y) return x + (T)0.693147180559945309;                      \
    T d = x - y;                                                         \
    return d > 0 ? x + log1p##f(exp##f(-d)) : d <= 0 ? y + log1p##f(exp##f(d)) : d; \
  }
WB_REAL(double, float64, ) WB_REAL(float, float32, f)

/* --- float to integer: towards zero; what does not fit becomes what x86 makes of it ------- */

/* Without trapping math gcc 12 takes (double)(int64_t)x for trunc(x), which is -0 for -0.5 where the
   conversions give 0. It cannot know that this is 0, so it keeps the integer. */
int64_t wb_zero;

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

static void *const *wb_blas;

/* c [m, n] = alpha a [m, k] b [k, n] + beta c, where an element of a lies at i a0 + j a1; c is contiguous. */
#define WB_MATMUL(T, name)                                                                            \
  WB_UNUSED static void wb_matmul_##name(int64_t m, int64_t n, int64_t k, T alpha, const T *a, int64_t a0, int64_t a1, \
                                         const T *b, int64_t b0, int64_t b1, T beta, T *c) {          \
    for (int64_t i = 0; i < m; ++i) {                                                                 \
      for (int64_t j = 0; j < n; ++j) c[i * n + j] = (T)(beta == 0 ? 0 : beta * c[i * n + j]);        \
      for (int64_t l = 0; l < k; ++l) {                                                               \
        const T x = (T)(alpha * a[i * a0 + l * a1]);                                                  \
        for (int64_t j = 0; j < n; ++j) c[i * n + j] = (T)(c[i * n + j] + x * b[l * b0 + j * b1]);    \
      }                                                                                               \
    }                                                                                                 \
  }
WB_MATMUL(int8_t, int8) WB_MATMUL(int16_t, int16) WB_MATMUL(int32_t, int32) WB_MATMUL(int64_t, int64)
WB_MATMUL(uint8_t, uint8) WB_MATMUL(uint16_t, uint16) WB_MATMUL(uint32_t, uint32) WB_MATMUL(uint64_t, uint64)
WB_MATMUL(float, float32_loops) WB_MATMUL(double, float64_loops)

/* The same by the library when there is one. One stride of each matrix is 1, or its axis has size 1. */
#define WB_PRODUCT(T, name, s, GEMM)                                                                        \
  WB_UNUSED static void wb_matmul_##name(int64_t m, int64_t n, int64_t k, T alpha, const T *a, int64_t a0, int64_t a1, \
                                         const T *b, int64_t b0, int64_t b1, T beta, T *c) {                \
    if (m == 0 || n == 0) return;                                                                           \
    if (k == 0 || !wb_blas) {                                                                               \
      wb_matmul_##name##_loops(m, n, k, alpha, a, a0, a1, b, b0, b1, beta, c);                              \
      return;                                                                                               \
    }                                                                                                       \
    const int ta = !(a1 == 1 || k == 1), tb = !(b1 == 1 || n == 1);                                         \
    int64_t lda = ta ? a1 : a0, ldb = tb ? b1 : b0;                                                         \
    if (lda < (ta ? m : k)) lda = ta ? m : k;                                                               \
    if (ldb < (tb ? k : n)) ldb = tb ? k : n;                                                               \
    /* One thread of OpenBLAS has better kernels for up to 10^6 multiplications: 1.5 times as fast for narrow n. */ \
    const int64_t fit = n <= 32 && WB_BLAS_THREADS == 1 ? 1000000 / (n * k) / 32 * 32 : 0, rows = fit > 0 ? fit : m; \
    for (int64_t i = 0; i < m; i += rows)                                                                   \
      ((wb_##s##gemm_t *)wb_blas[GEMM])(WB_ROW_MAJOR, ta ? WB_TRANSPOSED : WB_PLAIN, tb ? WB_TRANSPOSED : WB_PLAIN, \
                                        (wb_int)(m - i < rows ? m - i : rows), (wb_int)n, (wb_int)k, alpha, \
                                        a + i * a0, (wb_int)lda, b, (wb_int)ldb, beta, c + i * n, (wb_int)n); \
  }                                                                                                         \
  /* y [m] = alpha a [m, k] x [k] + beta y */                                                               \
  WB_UNUSED static void wb_matvec_##name(int64_t m, int64_t k, T alpha, const T *a, int64_t a0, int64_t a1, \
                                         const T *x, int64_t x0, T beta, T *y) {                            \
    if (m == 0) return;                                                                                     \
    if (k == 0 || !wb_blas || m * k < 512) {                                                                \
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
                                          (wb_int)(t ? m : k), alpha, a, (wb_int)lda, x, (wb_int)x0, beta, y, 1); \
  }                                                                                                         \
  WB_UNUSED static T wb_inner_##name(int64_t k, const T *x, int64_t x0, const T *y, int64_t y0) {           \
    if (!wb_blas || k < 64) {                                                                               \
      T sum = 0;                                                                                            \
      for (int64_t l = 0; l < k; ++l) sum += x[l * x0] * y[l * y0];                                         \
      return sum;                                                                                           \
    }                                                                                                       \
    return ((wb_##s##dot_t *)wb_blas[GEMM + 4])((wb_int)k, x, (wb_int)x0, y, (wb_int)y0);                   \
  }
WB_PRODUCT(float, float32, s, WB_SGEMM) WB_PRODUCT(double, float64, d, WB_DGEMM)

#endif
