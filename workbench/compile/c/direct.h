/* Convolution in groups of few channels, above all in groups of one: loops, for there is no matrix to multiply.
 *
 * The images of a group are first copied to *planes*: with their zeros, so that no place lies outside, and
 * with elements that a step along the last axis would skip sorted apart, so that the elements which one
 * element of a filter meets along a line follow each other. Then a line of results is a sum of vectors,
 * one for each element of the filters. The adjoint by the images is the same with results as images, spread
 * so that a step lies between two, and filters turned round. In groups that are wider the products of
 * conv.h are faster, and are called from here.
 *
 * Included after conv.h, once for each number of bits.
 */
#if WB_BITS == 32 && !defined WB_DIRECT_32
#define WB_DIRECT_32
#define WB_HERE
#define WB_T float
#define WB_I int32_t
#define WB_(name) wb_##name##_float32
#elif WB_BITS == 64 && !defined WB_DIRECT_64
#define WB_DIRECT_64
#define WB_HERE
#define WB_T double
#define WB_I int64_t
#define WB_(name) wb_##name##_float64
#endif

#ifdef WB_HERE
#define WB_WIDTH (32 / (int64_t)sizeof(WB_T)) /* elements of a vector */
typedef WB_T WB_(vector) __attribute__((vector_size(32), aligned(sizeof(WB_T)), may_alias));
typedef WB_I WB_(lanes) __attribute__((vector_size(32), aligned(sizeof(WB_T)), may_alias));

/* How planes lie in memory, and where the elements of filters meet them. */
typedef struct {
  int64_t from[3], into[3], front[3], spread[3]; /* sizes of images and planes, zeros in front, steps between */
  int64_t step[3], lines[3];                     /* from result to result, and the sizes of results */
  int64_t wide, row, plane;                      /* elements from phase to phase, line to line, plane to plane */
  int64_t taps;                                  /* elements of the filters of one channel */
} WB_(planes);

/* For results (adjoint 0) and for images (1). */
WB_APART static WB_(planes) WB_(planes_of)(const wb_conv *v, int adjoint) {
  WB_(planes) p;
  for (int k = 0; k < 3; ++k) {
    const int64_t more = (v->filter[k] - 1) * v->gap[k];
    p.from[k] = adjoint ? v->place[k] : v->image[k];
    p.lines[k] = adjoint ? v->image[k] : v->place[k];
    p.step[k] = adjoint ? 1 : v->stride[k];
    p.spread[k] = adjoint ? v->stride[k] : 1;
    p.front[k] = adjoint ? more - v->pad[k] : v->pad[k];
    p.into[k] = (p.lines[k] - 1) * p.step[k] + more + 1;
  }
  p.wide = ((p.into[2] + p.step[2] - 1) / p.step[2] + 5 * WB_WIDTH - 1) / WB_WIDTH * WB_WIDTH;
  p.row = p.wide * p.step[2];
  p.plane = p.into[0] * p.into[1] * p.row;
  p.taps = wb_volume(v->filter);
  return p;
}

/* Where each element of the filters of some channels meets the planes. */
WB_APART static void WB_(taps_of)(const wb_conv *v, const WB_(planes) *p, int adjoint, int64_t channels, int64_t *taps) {
  for (int64_t ch = 0; ch < channels; ++ch)
    for (int64_t a = 0; a < v->filter[0]; ++a)
      for (int64_t b = 0; b < v->filter[1]; ++b)
        for (int64_t e = 0; e < v->filter[2]; ++e) {
          const int turned = !v->flip != !adjoint;
          const int64_t i = (turned ? v->filter[0] - 1 - a : a) * v->gap[0], j = (turned ? v->filter[1] - 1 - b : b) * v->gap[1];
          const int64_t q = (turned ? v->filter[2] - 1 - e : e) * v->gap[2];
          *taps++ = ch * p->plane + (i * p->into[1] + j) * p->row + q % p->step[2] * p->wide + q / p->step[2];
        }
}

/* Copies images to planes; s are the strides of their axes, channels first. */
WB_APART static void WB_(fill_planes)(const WB_(planes) *p, const WB_T *x, const int64_t *s, int64_t channels, WB_T *planes) {
  memset(planes, 0, sizeof(WB_T) * (size_t)(channels * p->plane));
  /* Of the elements of a line, those in low <= q < high have a place in the plane. */
  const int64_t low = wb_larger(0, wb_ceil_div(-p->front[2], p->spread[2]));
  const int64_t high = wb_smaller(p->from[2], wb_ceil_div(p->into[2] - p->front[2], p->spread[2]));
  for (int64_t ch = 0; ch < channels; ++ch)
    for (int64_t i = 0; i < p->from[0]; ++i)
      for (int64_t j = 0; j < p->from[1]; ++j) {
        const int64_t d = i * p->spread[0] + p->front[0], h = j * p->spread[1] + p->front[1];
        if (d < 0 || d >= p->into[0] || h < 0 || h >= p->into[1]) continue;
        const WB_T *const of = x + ch * s[0] + i * s[1] + j * s[2];
        WB_T *const to = planes + ch * p->plane + (d * p->into[1] + h) * p->row;
        if (p->step[2] == 1 && p->spread[2] == 1 && s[3] == 1 && low < high)
          WB_(conv_line)(to + low + p->front[2], of + low, high - low);
        else for (int64_t q = low, t = low * p->spread[2] + p->front[2]; q < high; ++q, t += p->spread[2])
          to[t % p->step[2] * p->wide + t / p->step[2]] = of[q * s[3]];
      }
}

/* A line of F results: the sum over taps of a weight for each times what the tap meets. */
#define WB_LINE(F, V)                                                                                            \
  static inline int64_t WB_(line_##F##_##V)(const WB_T *base, const int64_t *tap, int64_t taps, const WB_T *w,   \
                                            int64_t q, int64_t n, WB_T *out, int64_t apart) {                    \
    for (; q < n && (V == 1 || q + V * WB_WIDTH <= n); q += V * WB_WIDTH) {                                      \
      WB_(vector) sum[F][V] = {{{0}}};                                                                           \
      for (int64_t t = 0; t < taps; ++t) {                                                                       \
        const WB_T *const at = base + tap[t] + q;                                                                \
        _Pragma("GCC unroll 4") for (int k = 0; k < V; ++k)                                                      \
          _Pragma("GCC unroll 4") for (int f = 0; f < F; ++f)                                                    \
            sum[f][k] += w[t * F + f] * *(const WB_(vector) *)(at + k * WB_WIDTH);                               \
      }                                                                                                          \
      _Pragma("GCC unroll 4") for (int f = 0; f < F; ++f)                                                        \
        _Pragma("GCC unroll 4") for (int k = 0; k < V; ++k) {                                                    \
          WB_T *const to = out + f * apart + q + k * WB_WIDTH;                                                   \
          if (V > 1 || q + WB_WIDTH <= n) *(WB_(vector) *)to = sum[f][k];                                        \
          else memcpy(to, &sum[f][k], sizeof(WB_T) * (size_t)(n - q));                                           \
        }                                                                                                        \
    }                                                                                                            \
    return q;                                                                                                    \
  }
WB_LINE(1, 4) WB_LINE(1, 1) WB_LINE(2, 4) WB_LINE(2, 1) WB_LINE(3, 2) WB_LINE(3, 1) WB_LINE(4, 2) WB_LINE(4, 1)
#undef WB_LINE

/* All lines of one image and group, for up to 4 features. */
WB_APART static void WB_(direct_lines)(const WB_(planes) *p, const WB_T *planes, const int64_t *tap, int64_t taps, const WB_T *w,
                              int64_t features, WB_T *out) {
  const int64_t n = p->lines[2], apart = wb_volume(p->lines);
#define WB_BOTH(F, V) \
  WB_(line_##F##_1)(base, tap, taps, w, WB_(line_##F##_##V)(base, tap, taps, w, 0, n, out, apart), n, out, apart)
  for (int64_t d = 0; d < p->lines[0]; ++d)
    for (int64_t h = 0; h < p->lines[1]; ++h, out += n) {
      const WB_T *const base = planes + (d * p->step[0] * p->into[1] + h * p->step[1]) * p->row;
      if (features == 1) WB_BOTH(1, 4);
      else if (features == 2) WB_BOTH(2, 4);
      else if (features == 3) WB_BOTH(3, 2);
      else WB_BOTH(4, 2);
    }
#undef WB_BOTH
}

static int WB_(direct_part)(wb_call *c, int64_t begin, int64_t end) {
  const WB_(conv_job) *const job = (const WB_(conv_job) *)c->value[0];
  const wb_conv *const v = job->v;
  const int adjoint = job->x == NULL;
  const WB_(planes) p = WB_(planes_of)(v, adjoint);
  const int64_t many = (adjoint ? v->channels : v->features) / v->groups, few = (adjoint ? v->features : v->channels) / v->groups;
  const int64_t *const s = adjoint ? v->y : v->x, taps = few * p.taps, each = v->channels / v->groups;
  WB_T *const planes = job->scratch + c->thread * job->each, *const w = planes + few * p.plane;
  int64_t *const tap = (int64_t *)(w + (taps * many + 1) / 2 * 2);
  WB_(taps_of)(v, &p, adjoint, few, tap);
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t image = unit % v->batch, group = unit / v->batch;
    if (unit == begin || image == 0)
      for (int64_t ch = 0; ch < few; ++ch)
        for (int64_t t = 0; t < p.taps; ++t)
          for (int64_t f = 0; f < many; ++f) {
            const int64_t feature = group * (adjoint ? few : many) + (adjoint ? ch : f), channel = adjoint ? f : ch;
            w[(ch * p.taps + t) * many + f] = job->w[(feature * each + channel) * p.taps + t];
          }
    WB_(fill_planes)(&p, (adjoint ? job->y : job->x) + image * s[0] + group * few * s[1], s + 1, few, planes);
    WB_T *const out = job->out + (image * v->groups + group) * many * wb_volume(p.lines);
    WB_(direct_lines)(&p, planes, tap, taps, w, many, out);
  }
  return WB_OK;
}

/* Whether groups are so narrow that loops are faster. */
WB_APART static int WB_(is_narrow)(const wb_conv *v) {
  const int64_t channels = v->channels / v->groups, features = v->features / v->groups;
  return channels >= 1 && channels <= 4 && features >= 1 && features <= 4 && v->batch > 0;
}

/* Results from x, or images from y where x is NULL. */
WB_APART static int64_t WB_(direct)(wb_call *c, const wb_conv *v, const WB_T *x, const WB_T *y, const WB_T *w, WB_T *out, void *memory) {
  WB_(conv_job) job = {.v = v, .x = x, .y = y, .out = out};
  const WB_(planes) p = WB_(planes_of)(v, x == NULL);
  const int64_t features = v->features / v->groups, each = v->channels / v->groups;
  const int64_t all = features * each * p.taps, few = x ? each : features;
  job.each = (few * p.plane + all + 2 + few * p.taps * (8 / (int64_t)sizeof(WB_T)) + 63) / 64 * 64;
  if (!memory) return (int64_t)sizeof(WB_T) * (c->threads * job.each + v->groups * all);
  job.scratch = (WB_T *)memory;
  job.w = WB_(conv_filters)(v, w, job.scratch + c->threads * job.each);
  const double work = 2 * (double)all * (double)wb_volume(p.lines);
  return WB_(conv_share)(c, &job, WB_(direct_part), v->batch * v->groups, work);
}

WB_APART static int64_t WB_(direct_results)(wb_call *c, const wb_conv *v, const WB_T *x, const WB_T *w, WB_T *y, void *memory) {
  if (!WB_(is_narrow)(v)) return WB_(conv_results)(c, v, x, w, y, memory);
  return WB_(direct)(c, v, x, NULL, w, y, memory);
}

/* Whether all filters are finite. */
WB_APART static int WB_(are_finite)(const wb_conv *v, const WB_T *w) {
  int finite = 1;
  for (int64_t f = 0; f < v->features; ++f)
    for (int64_t ch = 0; ch < v->channels / v->groups; ++ch)
      for (int64_t a = 0; a < v->filter[0]; ++a)
        for (int64_t b = 0; b < v->filter[1]; ++b)
          for (int64_t e = 0; e < v->filter[2]; ++e) {
            const WB_T value = w[f * v->w[0] + ch * v->w[1] + a * v->w[2] + b * v->w[3] + e * v->w[4]];
            finite &= value - value == 0;
          }
  return finite;
}

/* The zeros between results, and around them, would make NaN of an infinite filter where it meets nothing. */
WB_APART static int64_t WB_(direct_images)(wb_call *c, const wb_conv *v, const WB_T *y, const WB_T *w, WB_T *x, void *memory) {
  if (!WB_(is_narrow)(v)) return WB_(conv_images)(c, v, y, w, x, memory);
  if (!memory) return wb_larger(WB_(direct)(c, v, NULL, y, w, x, NULL), WB_(conv_images)(c, v, y, w, x, NULL));
  return WB_(are_finite)(v, w) ? WB_(direct)(c, v, NULL, y, w, x, memory) : WB_(conv_images)(c, v, y, w, x, memory);
}

/* --- filters from images and results ------------------------------------------------------------------ */

static inline WB_T WB_(total)(WB_(vector) sum) {
  WB_T total = 0;
  for (int k = 0; k < WB_WIDTH; ++k) total += sum[k];
  return total;
}

/* Adds to out[k] the sum over places of y times what tap k meets, for up to 4 taps. Elements beyond a line are
   masked, not multiplied by 0, which would make NaN of an infinite one. */
WB_APART static void WB_(direct_sums)(const WB_(planes) *p, const WB_T *planes, const int64_t *tap, int64_t taps, const WB_T *y,
                             const int64_t *s, WB_T *out) {
  const int64_t n = p->lines[2], whole = n / WB_WIDTH * WB_WIDTH, t1 = taps > 1, t2 = taps > 2 ? 2 : 0, t3 = taps > 3 ? 3 : 0;
  WB_(vector) a = {0}, b = {0}, e = {0}, f = {0};
  WB_(lanes) mask;
  for (int k = 0; k < WB_WIDTH; ++k) mask[k] = k < n - whole ? -1 : 0;
  for (int64_t d = 0; d < p->lines[0]; ++d)
    for (int64_t h = 0; h < p->lines[1]; ++h) {
      const WB_T *const base = planes + (d * p->step[0] * p->into[1] + h * p->step[1]) * p->row, *const of = y + d * s[1] + h * s[2];
      const WB_T *const at[4] = {base + tap[0], base + tap[t1], base + tap[t2], base + tap[t3]};
      for (int64_t q = 0; q < whole; q += WB_WIDTH) {
        const WB_(vector) g = *(const WB_(vector) *)(of + q);
        a += g * *(const WB_(vector) *)(at[0] + q), b += g * *(const WB_(vector) *)(at[1] + q);
        e += g * *(const WB_(vector) *)(at[2] + q), f += g * *(const WB_(vector) *)(at[3] + q);
      }
      if (whole < n) {
        WB_(vector) g = {0};
        memcpy(&g, of + whole, sizeof(WB_T) * (size_t)(n - whole));
        a += g * (WB_(vector))(*(const WB_(lanes) *)(at[0] + whole) & mask);
        b += g * (WB_(vector))(*(const WB_(lanes) *)(at[1] + whole) & mask);
        e += g * (WB_(vector))(*(const WB_(lanes) *)(at[2] + whole) & mask);
        f += g * (WB_(vector))(*(const WB_(lanes) *)(at[3] + whole) & mask);
      }
    }
  const WB_T sums[4] = {WB_(total)(a), WB_(total)(b), WB_(total)(e), WB_(total)(f)};
  for (int64_t k = 0; k < taps; ++k) out[k] += sums[k];
}

static int WB_(direct_weights_part)(wb_call *c, int64_t begin, int64_t end) {
  const WB_(conv_job) *const job = (const WB_(conv_job) *)c->value[0];
  const wb_conv *const v = job->v;
  const WB_(planes) p = WB_(planes_of)(v, 0);
  const int64_t each = v->channels / v->groups, features = v->features / v->groups, some = features * each * p.taps;
  const int64_t places = wb_volume(v->place), taps = each * p.taps;
  WB_T *const planes = job->scratch + c->thread * job->each, *const copy = planes + each * p.plane;
  int64_t *const tap = (int64_t *)(copy + (features * places + 1) / 2 * 2);
  WB_(taps_of)(v, &p, 0, each, tap);
  const int64_t s[3] = {0, v->place[1] * v->place[2], v->place[2]};
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t chunk = unit % job->chunks, group = unit / job->chunks, until = v->batch * (chunk + 1) / job->chunks;
    WB_T *const sums = job->chunks == 1 ? job->out : job->scratch + c->threads * job->each + chunk * v->groups * some;
    WB_T *const out = sums + group * some;
    memset(out, 0, sizeof(WB_T) * (size_t)some);
    for (int64_t image = v->batch * chunk / job->chunks; image < until; ++image) {
      int64_t apart;
      const WB_T *const y = WB_(conv_rows)(v, job->y, image, group, copy, &apart);
      WB_(fill_planes)(&p, job->x + image * v->x[0] + group * each * v->x[1], v->x + 1, each, planes);
      for (int64_t f = 0; f < features; ++f)
        for (int64_t t = 0; t < taps; t += 4)
          WB_(direct_sums)(&p, planes, tap + t, wb_smaller(4, taps - t), y + f * apart, s, out + f * taps + t);
    }
  }
  return WB_OK;
}

WB_APART static int64_t WB_(direct_weights)(wb_call *c, const wb_conv *v, const WB_T *x, const WB_T *y, WB_T *w, void *memory) {
  if (!WB_(is_narrow)(v)) return WB_(conv_weights)(c, v, x, y, w, memory);
  WB_(conv_job) job = {.v = v, .x = x, .y = y, .out = w};
  const WB_(planes) p = WB_(planes_of)(v, 0);
  const int64_t features = v->features / v->groups, each = v->channels / v->groups, all = v->features * each * p.taps;
  job.chunks = wb_smaller(v->batch, wb_larger(1, WB_CONV_UNITS / v->groups));
  job.each = (each * p.plane + features * wb_volume(v->place) + 2 + each * p.taps * (8 / (int64_t)sizeof(WB_T)) + 63) / 64 * 64;
  if (!memory) return (int64_t)sizeof(WB_T) * (c->threads * job.each + (job.chunks > 1 ? job.chunks * all : 0));
  job.scratch = (WB_T *)memory;
  const double work = (double)features * (double)(each * p.taps) * (double)wb_volume(v->place) * (double)v->batch / (double)job.chunks;
  const int rc = WB_(conv_share)(c, &job, WB_(direct_weights_part), v->groups * job.chunks, 2 * work);
  return rc || job.chunks == 1 ? rc : WB_(conv_share)(c, &job, WB_(conv_weights_sum), all, (double)(8 * job.chunks));
}
#undef WB_HERE
#undef WB_T
#undef WB_I
#undef WB_
#undef WB_WIDTH
#endif
