/* Complex numbers: arithmetic and order as NumPy has them, functions, products of matrices.
 *
 * Only the built-in type is used, nothing of <complex.h>: parts are computed in plain C, so loops
 * are vectorised, a product is not searched for NaN behind our back, and no compiler applies
 * identities that do not hold for signed zeros. At special points the functions have the values of
 * annex G of the C standard, chosen without branches. Included where a program has complex numbers.
 */
#ifndef WB_COMPLEXES
#define WB_COMPLEXES

/* Of the system's library: these have no vector forms. */
#define WB_LIBRARY(name)                                                  \
  WB_CONST wb_complex128 wb_of_##name(wb_complex128) __asm__(#name);      \
  WB_CONST wb_complex64 wb_of_##name##f(wb_complex64) __asm__(#name "f");
WB_LIBRARY(ctan) WB_LIBRARY(casin) WB_LIBRARY(cacos) WB_LIBRARY(catan)
WB_LIBRARY(ctanh) WB_LIBRARY(casinh) WB_LIBRARY(cacosh) WB_LIBRARY(catanh)
WB_CONST wb_complex128 wb_of_cpow(wb_complex128, wb_complex128) __asm__("cpow");
WB_CONST wb_complex64 wb_of_cpowf(wb_complex64, wb_complex64) __asm__("cpowf");
/* Where a function takes the digits that another one rounded, the vector forms round too coarsely. */
WB_CONST double wb_of_hypot(double, double) __asm__("hypot");
WB_CONST float wb_of_hypotf(float, float) __asm__("hypotf");
WB_CONST double wb_of_log(double) __asm__("log");
WB_CONST float wb_of_logf(float) __asm__("logf");

#define WB_COMPLEX(T, C, f)                                                                                    \
  WB_UNUSED static inline C wb_cpair##f(T re, T im) { return __builtin_complex(re, im); }                      \
  WB_UNUSED static inline int wb_cisnan##f(C z) { return z != z; }                                             \
  WB_UNUSED static inline int wb_cisinf##f(C z) {                                                              \
    return (fabs##f(__real__ z) == INFINITY) | (fabs##f(__imag__ z) == INFINITY);                              \
  }                                                                                                            \
  WB_UNUSED static inline C wb_cconj##f(C z) { return wb_cpair##f(__real__ z, -__imag__ z); }                  \
  WB_UNUSED static inline C wb_crint##f(C z) { return wb_cpair##f(rint##f(__real__ z), rint##f(__imag__ z)); } \
  WB_UNUSED static inline T wb_cabs##f(C z) { return hypot##f(__real__ z, __imag__ z); }                       \
  WB_UNUSED static inline C wb_ctimes##f(C z, T x) { return wb_cpair##f(__real__ z * x, __imag__ z * x); }     \
  WB_UNUSED static inline C wb_cmul##f(C z, C w) {                                                             \
    const T a = __real__ z, b = __imag__ z, c = __real__ w, d = __imag__ w;                                    \
    return wb_cpair##f(a * c - b * d, a * d + b * c);                                                          \
  }                                                                                                            \
  /* What has been multiplied, and the next: 1 changes nothing, while 1 + 0i would make NaN of an infinite part. */ \
  WB_UNUSED static inline C wb_cproduct##f(C z, C w) { return z == 1 ? w : w == 1 ? z : wb_cmul##f(z, w); }    \
  /* Smith (1962), Algorithm 116: by the ratio of the smaller part of w to the larger one. */                  \
  WB_UNUSED static inline C wb_cdiv##f(C z, C w) {                                                             \
    const T a = __real__ z, b = __imag__ z, c = __real__ w, d = __imag__ w;                                    \
    const int flat = fabs##f(c) >= fabs##f(d), nothing = (c == 0) & (d == 0);                                  \
    const T large = flat ? c : d, small = flat ? d : c, p = flat ? a : b, q = flat ? b : a;                    \
    const T ratio = small / large, by = 1 / (large + small * ratio);                                           \
    const T re = (p + q * ratio) * by, im = (flat ? q - p * ratio : p * ratio - q) * by;                       \
    return wb_cpair##f(nothing ? a / fabs##f(c) : re, nothing ? b / fabs##f(c) : im);                          \
  }                                                                                                            \
  WB_UNUSED static inline C wb_creciprocal##f(C z) {                                                           \
    const T a = __real__ z, b = __imag__ z;                                                                    \
    const int flat = fabs##f(b) <= fabs##f(a);                                                                 \
    const T large = flat ? a : b, small = flat ? b : a, ratio = small / large;                                 \
    const T by = large + small * ratio;                                                                        \
    return wb_cpair##f((flat ? 1 : ratio) / by, (flat ? -ratio : -1) / by);                                    \
  }                                                                                                            \
  /* z / |z|; of an infinite part its sign, of two NaN. */                                                     \
  WB_UNUSED static inline C wb_csign##f(C z) {                                                                 \
    const T a = __real__ z, b = __imag__ z, size = hypot##f(a, b);                                             \
    const int far_a = fabs##f(a) == INFINITY, far_b = fabs##f(b) == INFINITY, far = far_a | far_b;             \
    const T by = (far | (size == 0)) ? 1 : size, none = (far_a & far_b) ? (T)NAN : 0;                          \
    const T p = far_a ? copysign##f(1, a) : 0, q = far_b ? copysign##f(1, b) : 0;                              \
    return wb_cpair##f((far ? p + none : size == 0 ? 0 : a) / by, (far ? q + none : size == 0 ? 0 : b) / by);  \
  }                                                                                                            \
  /* By the real part, of equal ones by the imaginary part; NaN is never in order. */                          \
  WB_UNUSED static inline int wb_clt##f(C z, C w) {                                                            \
    const T a = __real__ z, b = __imag__ z, c = __real__ w, d = __imag__ w;                                    \
    return ((a < c) & (b == b) & (d == d)) | ((a == c) & (b < d));                                             \
  }                                                                                                            \
  WB_UNUSED static inline int wb_cle##f(C z, C w) {                                                            \
    const T a = __real__ z, b = __imag__ z, c = __real__ w, d = __imag__ w;                                    \
    return ((a < c) & (b == b) & (d == d)) | ((a == c) & (b <= d));                                            \
  }                                                                                                            \
  WB_UNUSED static inline C wb_cmaximum##f(C z, C w) { return (wb_cisnan##f(z) | wb_cle##f(w, z)) ? z : w; }   \
  WB_UNUSED static inline C wb_cminimum##f(C z, C w) { return (wb_cisnan##f(z) | wb_cle##f(z, w)) ? z : w; }
WB_COMPLEX(double, wb_complex128, ) WB_COMPLEX(float, wb_complex64, f)

/* LIMIT: what exponents are cut at, and EDGE its exponential; the rest is multiplied afterwards, when sine or
   cosine may have made the product small enough. Beyond 1 / TINY and TINY squares are lost, but not of numbers
   times SCALE; ROOT is its root and LOG its logarithm.

   Special points choose the arguments of functions, and nothing that a function returns is used in one case
   only: then compilers call it always, and that they can do in vectors. */
#define WB_COMPLEX_FUNCTIONS(T, C, f, LIMIT, EDGE, TINY, SCALE, ROOT, LOG)                                     \
  WB_UNUSED static inline C wb_cexp##f(C z) {                                                                  \
    const T x = __real__ z, y = __imag__ z;                                                                    \
    const int odd = !(fabs##f(y) < INFINITY), cut = x > LIMIT;                                                 \
    const T e = exp##f(cut ? x - LIMIT : x), angle = odd ? copysign##f(0, y) : y;                              \
    const T by = (odd & (fabs##f(x) != INFINITY)) ? (T)NAN : cut ? EDGE : 1;                                   \
    return wb_cpair##f(e * (cos##f(angle) * by), (y == 0 ? 1 : e) * (sin##f(angle) * by));                     \
  }                                                                                                            \
  WB_UNUSED static inline C wb_csinh##f(C z) {                                                                 \
    const T x = __real__ z, y = __imag__ z, size = fabs##f(x);                                                 \
    const int odd = !(fabs##f(y) < INFINITY), far = size == INFINITY, cut = size > LIMIT;                      \
    const T near = cut ? odd ? LIMIT : copysign##f(LIMIT, x) : x, angle = odd ? 0 : y;                         \
    const T by = exp##f((odd & (x != 0) & !far) ? (T)NAN : cut ? size - LIMIT : 0);                            \
    return wb_cpair##f(sinh##f(near) * cos##f(angle) * by,                                                     \
                       cosh##f(y == 0 ? 0 : near) * sin##f(angle) * (odd ? (T)NAN : y == 0 ? 1 : by));         \
  }                                                                                                            \
  WB_UNUSED static inline C wb_ccosh##f(C z) {                                                                 \
    const T x = __real__ z, y = __imag__ z, size = fabs##f(x);                                                 \
    const int odd = !(fabs##f(y) < INFINITY), cut = !(size <= LIMIT); /* NaN, too */                           \
    const T near = cut ? (x < 0 ? -LIMIT : LIMIT) : x, angle = odd ? copysign##f(0, x) : y;                    \
    const T by = exp##f((odd & (size != INFINITY)) ? (T)NAN : cut ? size - LIMIT : 0), one = y == 0 ? 1 : by;  \
    return wb_cpair##f(cosh##f(near) * cos##f(angle) * by,                                                     \
                       sinh##f(near) * sin##f(angle) * ((odd & (x != 0)) ? (T)NAN : odd ? 1 : one));           \
  }                                                                                                            \
  WB_UNUSED static inline C wb_csin##f(C z) { /* -i sinh(iz) */                                                \
    const C w = wb_csinh##f(wb_cpair##f(-__imag__ z, __real__ z));                                             \
    const int odd = !(fabs##f(__real__ z) < INFINITY) & (fabs##f(__imag__ z) == INFINITY);                     \
    return wb_cpair##f(__imag__ w, odd ? __real__ w : -__real__ w);                                            \
  }                                                                                                            \
  WB_UNUSED static inline C wb_ccos##f(C z) { return wb_ccosh##f(wb_cpair##f(-__imag__ z, __real__ z)); }      \
  /* The logarithm of the rounded |z|, and of what rounding took from it: near the unit circle that counts. */ \
  WB_UNUSED static inline C wb_clog##f(C z) {                                                                  \
    const T x = fabs##f(__real__ z), y = fabs##f(__imag__ z), large = x > y ? x : y, small = x > y ? y : x;    \
    const T by = large > 1 / TINY ? 1 / SCALE : large < TINY ? SCALE : 1;                                      \
    const T back = large > 1 / TINY ? LOG : large < TINY ? -LOG : 0;                                           \
    const T p = large * by, q = small * by, size = hypot##f(p, q), per = 1 / size;                             \
    const T left = ((p - size) * per * ((p + size) * per) + q * per * (q * per)) * (T)0.5;                     \
    const int none = (size == 0) | (size == INFINITY);                                                         \
    return wb_cpair##f(log##f(size) + (none ? 0 : left) + back, atan2##f(__imag__ z, __real__ z));             \
  }                                                                                                            \
  WB_UNUSED static inline C wb_csqrt##f(C z) {                                                                 \
    const T y = fabs##f(__imag__ z), x = y == INFINITY ? 0 : fabs##f(__real__ z), large = x > y ? x : y;       \
    const T by = large > 1 / TINY ? 1 / SCALE : large < TINY ? SCALE : 1;                                      \
    const T back = large > 1 / TINY ? ROOT : large < TINY ? 1 / ROOT : 1;                                      \
    const T root = sqrt##f((x * by + hypot##f(x * by, y * by)) * (T)0.5), more = root * back;                  \
    const T less = ((root == 0) | (y == INFINITY)) ? root : y * by / (2 * root) * back;                        \
    const int right = __real__ z >= 0;                                                                         \
    return wb_cpair##f(right ? more : less, copysign##f(right ? less : more, __imag__ z));                     \
  }                                                                                                            \
  WB_UNUSED static inline C wb_cexp2##f(C z) { return wb_cexp##f(wb_ctimes##f(z, (T)0.693147180559945309)); }  \
  WB_UNUSED static inline C wb_clog2##f(C z) { return wb_ctimes##f(wb_clog##f(z), (T)1.442695040888963407); }  \
  WB_UNUSED static inline C wb_clog10##f(C z) { return wb_ctimes##f(wb_clog##f(z), (T)0.434294481903251828); } \
  WB_UNUSED static inline C wb_cexpm1##f(C z) {                                                                \
    const T x = __real__ z, y = __imag__ z, half = sin##f(y / 2);                                              \
    return wb_cpair##f(expm1##f(x) * cos##f(y) - 2 * half * half, exp##f(x) * sin##f(y));                      \
  }                                                                                                            \
  WB_UNUSED static inline C wb_clog1p##f(C z) {                                                                \
    const T x = __real__ z + 1, y = __imag__ z;                                                                \
    return wb_cpair##f(wb_of_log##f(wb_of_hypot##f(x, y)), atan2##f(y, x));                                    \
  }                                                                                                            \
  WB_UNUSED static inline C wb_csinc##f(C z) {                                                                 \
    const C w = z == 0 ? (C)(T)1e-20 : wb_cmul##f((T)3.141592653589793238, z);                                 \
    return wb_cdiv##f(wb_csin##f(w), w);                                                                       \
  }                                                                                                            \
  /* Whole powers below 100 by squares, as NumPy. */                                                           \
  WB_UNUSED static C wb_cpow##f(C z, C w) {                                                                    \
    const T p = __real__ w;                                                                                    \
    if (w == 0) return 1;                                                                                      \
    if (z == 0) return p > 0 ? (C)0 : wb_cpair##f(NAN, NAN);                                                   \
    if (__imag__ w != 0 || !(p > -100 && p < 100) || (T)(int)p != p) return wb_of_cpow##f(z, w);               \
    if (p == 1) return z;                                                                                      \
    if (p == 2) return wb_cmul##f(z, z);                                                                       \
    if (p == 3) return wb_cmul##f(z, wb_cmul##f(z, z));                                                        \
    C made = 1;                                                                                                \
    for (int n = (int)fabs##f(p);;) {                                                                          \
      if (n & 1) made = wb_cmul##f(made, z);                                                                   \
      if (!(n >>= 1)) break;                                                                                   \
      z = wb_cmul##f(z, z);                                                                                    \
    }                                                                                                          \
    return p < 0 ? wb_cdiv##f(1, made) : made;                                                                 \
  }
WB_COMPLEX_FUNCTIONS(double, wb_complex128, , 700.0, 1.0142320547350045e304, 0x1p-900, 0x1p600, 0x1p300, 415.88830833596718)
WB_COMPLEX_FUNCTIONS(float, wb_complex64, f, 80.0f, 5.5406225e34f, 0x1p-100f, 0x1p60f, 0x1p30f, 41.588832f)

/* --- products ----------------------------------------------------------------------------- */

/* c [m, n] = alpha a [m, k] b [k, n] + beta c, where an element of a lies at i a0 + j a1; c is contiguous. */
#define WB_COMPLEX_PRODUCT(C, name, f, s, GEMM)                                                                  \
  typedef void wb_##s##gemm_t(int, int, int, wb_int, wb_int, wb_int, const C *, const C *, wb_int, const C *, wb_int, \
                              const C *, C *, wb_int);                                                           \
  WB_UNUSED static void wb_matmul_##name##_loops(int64_t m, int64_t n, int64_t k, C alpha, const C *a, int64_t a0, \
                                                 int64_t a1, const C *b, int64_t b0, int64_t b1, C beta, C *c) { \
    for (int64_t i = 0; i < m; ++i) {                                                                            \
      C *restrict const row = c + i * n;                                                                         \
      if (beta != 1) for (int64_t j = 0; j < n; ++j) row[j] = beta == 0 ? 0 : wb_cmul##f(beta, row[j]);          \
      for (int64_t l = 0; l < k; ++l) {                                                                          \
        const C *const from = b + l * b0;                                                                        \
        const C x = alpha == 1 ? a[i * a0 + l * a1] : wb_cmul##f(alpha, a[i * a0 + l * a1]);                     \
        if (b1 == 1) for (int64_t j = 0; j < n; ++j) row[j] += wb_cmul##f(x, from[j]);                           \
        else for (int64_t j = 0; j < n; ++j) row[j] += wb_cmul##f(x, from[j * b1]);                              \
      }                                                                                                          \
    }                                                                                                            \
  }                                                                                                              \
  WB_UNUSED static void wb_matmul_##name(int64_t m, int64_t n, int64_t k, C alpha, const C *a, int64_t a0, int64_t a1, \
                                         const C *b, int64_t b0, int64_t b1, C beta, C *c) {                     \
    if (m == 0 || n == 0) return;                                                                                \
    if (k <= 1 || alpha == 0 || !wb_blas) {                                                                      \
      wb_matmul_##name##_loops(m, n, k, alpha, a, a0, a1, b, b0, b1, beta, c);                                   \
      return;                                                                                                    \
    }                                                                                                            \
    const int ta = a1 != 1, tb = !(b1 == 1 || n == 1);                                                           \
    int64_t lda = ta ? a1 : a0, ldb = tb ? b1 : b0;                                                              \
    if (lda < (ta ? m : k)) lda = ta ? m : k;                                                                    \
    if (ldb < (tb ? k : n)) ldb = tb ? k : n;                                                                    \
    ((wb_##s##gemm_t *)wb_blas[GEMM])(WB_ROW_MAJOR, ta ? WB_TRANSPOSED : WB_PLAIN, tb ? WB_TRANSPOSED : WB_PLAIN, \
                                      (wb_int)m, (wb_int)n, (wb_int)k, &alpha, a, (wb_int)lda, b, (wb_int)ldb, &beta, \
                                      c, (wb_int)n);                                                             \
  }                                                                                                              \
  WB_UNUSED static void wb_scale_##name(int64_t n, C beta, C *c) {                                               \
    for (int64_t i = 0; i < n; ++i) c[i] = wb_cmul##f(c[i], beta);                                               \
  }
WB_COMPLEX_PRODUCT(wb_complex64, complex64, f, c, WB_CGEMM)
WB_COMPLEX_PRODUCT(wb_complex128, complex128, , z, WB_ZGEMM)

#endif
