/* Random numbers: the same bits as core/philox.py, operation for operation. */
#ifndef WB_RANDOM
#define WB_RANDOM

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

#endif
