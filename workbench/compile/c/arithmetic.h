/* Division, and functions of real numbers that <math.h> does not have. */
#ifndef WB_ARITHMETIC
#define WB_ARITHMETIC

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

#endif
