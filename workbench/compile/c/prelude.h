/* What every generated program builds on: mathematics, memory, BLAS.
 *
 * <math.h> is left out on purpose. With the declarations below gcc calls glibc's vector
 * variants (libmvec) from plain loops, without -ffast-math; where there are none the scalar
 * functions are declared. Vector results differ from the exact ones by at most 4 ulp.
 */
#ifndef WB_PRELUDE
#define WB_PRELUDE
#include <stddef.h>
#include "abi.h"

/* All that a program takes of the C library, besides mathematics: its headers would take a compiler a
   tenth of the time it needs for a small program. */
void *memcpy(void *, const void *, size_t);
void *memset(void *, int, size_t);
void free(void *);
int posix_memalign(void **, size_t, size_t);

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
#if defined(__clang__)
#define WB_ALONE __attribute__((noinline))
#else
#define WB_ALONE __attribute__((noipa)) /* what it calls is compiled once, not again for this caller */
#endif
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
  c->work = (double)size * (double)work;
  return size > grain && c->split ? c->split(c, part, size, grain) : part(c, 0, size);
}

/* Whether the call is to stop: asked before a library call of so many products, when these may take long. */
WB_UNUSED static inline int wb_pause(wb_call *c, double products) {
  return products > 1e7 && c->pause && c->pause(c);
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

/* Cuts a product into the blocks of its result that threads share, by its sizes alone: the last bits depend on
   the blocks, but so not on the number of threads. The library copies all of a matrix for each large block,
   which takes less than 3 % of the time when blocks are so long. */
WB_UNUSED static void wb_cut(int64_t m, int64_t n, int64_t k, int64_t *rows, int64_t *columns) {
  const double work = (double)m * (double)n * (double)k;
  *rows = m, *columns = n;
  if (WB_BLAS_THREADS > 1 || work <= 1e6) return;
  if (n <= 32 || work < WB_BLOCKED) {
    const int64_t wide = n <= 96 ? n : 64, fit = 1000000 / (wide * k) / (n <= 32 ? 32 : 8) * (n <= 32 ? 32 : 8);
    if (fit > 0) *rows = fit, *columns = wide;
    if (fit > 0) return;
  }
  const int64_t side = wb_larger(m, n), parts = side < 16 * 480 ? 1 + side / 480 : 16;
  if (work > 3.2e7) *(m < n ? columns : rows) = ((side + parts - 1) / parts + 15) / 16 * 16;
}

#define WB_MATRICES(name, T)                                                                                \
  int name(wb_call *call, int64_t m, int64_t n, int64_t k, T alpha, const T *a, int64_t a0, int64_t a1,     \
           const T *b, int64_t b0, int64_t b1, T beta, T *c)
/* The same by the library when there is one, and matrices have no gaps: one stride of each is 1, or its axis has
   size 1. Where alpha is 0 the library would not look at the matrices, and miss a NaN. */
#define WB_PRODUCT(T, name, s, GEMM)                                                                        \
  typedef struct {                                                                                          \
    int ta, tb;                                                                                             \
    int64_t m, n, k, lda, ldb, rows, columns;                                                               \
    T alpha, beta;                                                                                          \
    const T *a, *b;                                                                                         \
    T *c;                                                                                                   \
  } wb_product_##name;                                                                                      \
  /* Some blocks of it, one column of blocks after the other. */                                            \
  WB_UNUSED static void wb_multiply_##name(const wb_product_##name *p, int64_t begin, int64_t end) {        \
    const int64_t down = (p->m + p->rows - 1) / p->rows;                                                    \
    for (int64_t block = begin; block < end; ++block) {                                                     \
      const int64_t i = block % down * p->rows, j = block / down * p->columns;                              \
      const int64_t m = p->m - i < p->rows ? p->m - i : p->rows, n = p->n - j < p->columns ? p->n - j : p->columns; \
      ((wb_##s##gemm_t *)wb_blas[GEMM])(WB_ROW_MAJOR, p->ta ? WB_TRANSPOSED : WB_PLAIN, p->tb ? WB_TRANSPOSED : WB_PLAIN, \
                                        (wb_int)m, (wb_int)n, (wb_int)p->k, p->alpha, p->a + (p->ta ? i : i * p->lda), \
                                        (wb_int)p->lda, p->b + (p->tb ? j * p->ldb : j), (wb_int)p->ldb, p->beta, \
                                        p->c + i * p->n + j, (wb_int)p->n);                                 \
    }                                                                                                       \
  }                                                                                                         \
  WB_UNUSED static int wb_blocks_##name(wb_call *call, int64_t begin, int64_t end) {                        \
    wb_multiply_##name((const wb_product_##name *)call->value[0], begin, end);                              \
    return WB_OK;                                                                                           \
  }                                                                                                         \
  WB_UNUSED static WB_MATRICES(wb_matmul_##name, T) {                                                       \
    if (m == 0 || n == 0) return WB_OK;                                                                     \
    const int gaps = (a0 != 1 && a1 != 1 && m != 1) || (b0 != 1 && b1 != 1 && n != 1);                      \
    if (k <= 1 || alpha == 0 || !wb_blas || gaps) {                                                         \
      wb_matmul_##name##_loops(m, n, k, alpha, a, a0, a1, b, b0, b1, beta, c);                              \
      return WB_OK;                                                                                         \
    }                                                                                                       \
    const int ta = a1 != 1, tb = !(b1 == 1 || n == 1);                                                      \
    int64_t lda = ta ? a1 : a0, ldb = tb ? b1 : b0, rows, columns;                                          \
    if (lda < (ta ? m : k)) lda = ta ? m : k;                                                               \
    if (ldb < (tb ? k : n)) ldb = tb ? k : n;                                                               \
    wb_cut(m, n, k, &rows, &columns);                                                                       \
    wb_product_##name product = {ta, tb, m, n, k, lda, ldb, rows, columns, alpha, beta, a, b, c};           \
    const int64_t blocks = ((m + rows - 1) / rows) * ((n + columns - 1) / columns);                         \
    if (blocks == 1) {                                                                                      \
      wb_multiply_##name(&product, 0, 1);                                                                   \
      return WB_OK;                                                                                         \
    }                                                                                                       \
    void *value[] = {&product};                                                                             \
    wb_call own = *call;                                                                                    \
    own.value = value;                                                                                      \
    return wb_share(&own, wb_blocks_##name, blocks, (int64_t)((double)m * (double)n * (double)k / (double)(4 * blocks)) + 1); \
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
