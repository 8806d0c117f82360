/* Convolution in groups of few channels, above all in groups of one: loops, for there is no matrix to multiply.
 *
 * The images of a group are first copied to planes (see planes.h). Then a line of results is a sum of vectors,
 * one for each element of the filters. The adjoint by the images is the same with results as images, and
 * filters turned round. In groups that are wider the products of tiles.h are faster, and are called from here.
 *
 * Included after tiles.h, once for each number of bits.
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

/* A line of F results: the sum over taps of a weight for each times what the tap meets. The last vectors may
   reach beyond the line, where planes go on with zeros. */
#define WB_LINE(F, V)                                                                                            \
  WB_FUSED static inline void WB_(line_##F)(const WB_T *base, const int64_t *tap, int64_t taps, const WB_T *w,   \
                                            int64_t n, WB_T *out, int64_t apart) {                               \
    WB_FUSE for (int64_t q = 0; q < n; q += V * WB_WIDTH) {                                                      \
      WB_(vector) sum[F][V] = {{{0}}};                                                                           \
      for (int64_t t = 0; t < taps; ++t) {                                                                       \
        const WB_T *const at = base + tap[t] + q;                                                                \
        _Pragma("GCC unroll 4") for (int k = 0; k < V; ++k)                                                      \
          _Pragma("GCC unroll 4") for (int f = 0; f < F; ++f)                                                    \
            sum[f][k] += w[t * F + f] * *(const WB_(vector) *)(at + k * WB_WIDTH);                               \
      }                                                                                                          \
      _Pragma("GCC unroll 4") for (int f = 0; f < F; ++f)                                                        \
        _Pragma("GCC unroll 4") for (int k = 0; k < V; ++k) {                                                    \
          const int64_t from = q + k * WB_WIDTH;                                                                 \
          WB_T *const to = out + f * apart + from;                                                               \
          if (from + WB_WIDTH <= n) *(WB_(vector) *)to = sum[f][k];                                              \
          else if (from < n) WB_(conv_line)(to, (const WB_T *)&sum[f][k], n - from);                             \
        }                                                                                                        \
    }                                                                                                            \
  }
WB_LINE(1, 4) WB_LINE(2, 4) WB_LINE(3, 2) WB_LINE(4, 2)
#undef WB_LINE

/* All lines of one image and group, for up to 4 features. */
WB_APART WB_FUSED static void WB_(direct_lines)(const WB_(planes) *p, const WB_T *planes, const int64_t *tap, int64_t taps, const WB_T *w,
                              int64_t features, WB_T *out) {
  const int64_t n = p->lines[2], apart = wb_volume(p->lines);
  for (int64_t d = 0; d < p->lines[0]; ++d)
    for (int64_t h = 0; h < p->lines[1]; ++h, out += n) {
      const WB_T *const base = planes + (d * p->step[0] * p->into[1] + h * p->step[1]) * p->row;
      if (features == 1) WB_(line_1)(base, tap, taps, w, n, out, apart);
      else if (features == 2) WB_(line_2)(base, tap, taps, w, n, out, apart);
      else if (features == 3) WB_(line_3)(base, tap, taps, w, n, out, apart);
      else WB_(line_4)(base, tap, taps, w, n, out, apart);
    }
}

static int WB_(direct_part)(wb_call *c, int64_t begin, int64_t end) {
  const WB_(conv_job) *const job = (const WB_(conv_job) *)c->value[0];
  const wb_conv *const v = job->v;
  const int adjoint = job->x == NULL;
  const WB_(planes) p = WB_(planes_of)(v, adjoint, 5 * WB_WIDTH);
  const int64_t many = (adjoint ? v->channels : v->features) / v->groups, few = (adjoint ? v->features : v->channels) / v->groups;
  const int64_t *const s = adjoint ? v->y : v->x, taps = few * p.taps, each = v->channels / v->groups;
  WB_T *const planes = job->scratch + c->thread * job->each, *const w = planes + few * p.plane;
  int64_t *const tap = (int64_t *)(w + (taps * many + 1) / 2 * 2);
  WB_(taps_of)(v, &p, adjoint, few, tap);
  memset(planes, 0, sizeof(WB_T) * (size_t)(few * p.plane)); /* the zeros around images stay */
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
  const WB_(planes) p = WB_(planes_of)(v, x == NULL, 5 * WB_WIDTH);
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
  if (!WB_(is_narrow)(v)) return WB_(tiled_results)(c, v, x, w, y, memory);
  return WB_(direct)(c, v, x, NULL, w, y, memory);
}

/* The zeros between results, and around them, would make NaN of an infinite filter where it meets nothing. */
WB_APART static int64_t WB_(direct_images)(wb_call *c, const wb_conv *v, const WB_T *y, const WB_T *w, WB_T *x, void *memory) {
  if (!WB_(is_narrow)(v)) return WB_(tiled_images)(c, v, y, w, x, memory);
  if (!memory) return wb_larger(WB_(direct)(c, v, NULL, y, w, x, NULL), WB_(conv_images)(c, v, y, w, x, NULL));
  return WB_(are_finite)(v, w) ? WB_(direct)(c, v, NULL, y, w, x, memory) : WB_(conv_images)(c, v, y, w, x, memory);
}

/* --- filters from images and results ------------------------------------------------------------------ */

static inline WB_T WB_(total)(WB_(vector) sum) {
  WB_T total = 0;
  for (int k = 0; k < WB_WIDTH; ++k) total += sum[k];
  return total;
}

/* Adds to out[k] the sum over places of g times what tap k meets, for up to 5 taps. The lines of g end with zeros
   to a whole vector; what is met there is masked too, for a zero would make NaN of an infinite element. */
WB_APART WB_FUSED static void WB_(direct_sums)(const WB_(planes) *p, const WB_T *planes, const int64_t *tap, int64_t taps,
                                               const WB_T *g, WB_T *out) {
  WB_FUSE
  const int64_t n = p->lines[2], whole = n / WB_WIDTH * WB_WIDTH;
  WB_(vector) sum[5] = {{0}};
  WB_(lanes) mask;
  for (int k = 0; k < WB_WIDTH; ++k) mask[k] = k < n - whole ? -1 : 0;
  for (int64_t d = 0; d < p->lines[0]; ++d)
    for (int64_t h = 0; h < p->lines[1]; ++h) {
      const WB_T *const base = planes + (d * p->step[0] * p->into[1] + h * p->step[1]) * p->row, *at[5];
      for (int k = 0; k < 5; ++k) at[k] = base + tap[k < taps ? k : 0];
      for (int64_t q = 0; q < whole; q += WB_WIDTH, g += WB_WIDTH)
        _Pragma("GCC unroll 5") for (int k = 0; k < 5; ++k)
          sum[k] += *(const WB_(vector) *)g * *(const WB_(vector) *)(at[k] + q);
      if (whole < n) {
        _Pragma("GCC unroll 5") for (int k = 0; k < 5; ++k)
          sum[k] += *(const WB_(vector) *)g * (WB_(vector))(*(const WB_(lanes) *)(at[k] + whole) & mask);
        g += WB_WIDTH;
      }
    }
  for (int64_t k = 0; k < taps; ++k) out[k] += WB_(total)(sum[k]);
}

static int WB_(direct_weights_part)(wb_call *c, int64_t begin, int64_t end) {
  const WB_(conv_job) *const job = (const WB_(conv_job) *)c->value[0];
  const wb_conv *const v = job->v;
  const WB_(planes) p = WB_(planes_of)(v, 0, 5 * WB_WIDTH);
  const int64_t each = v->channels / v->groups, features = v->features / v->groups, some = features * each * p.taps;
  const int64_t wide = v->place[2], padded = (wide + WB_WIDTH - 1) / WB_WIDTH * WB_WIDTH, lines = v->place[0] * v->place[1];
  const int64_t taps = each * p.taps;
  WB_T *const planes = job->scratch + c->thread * job->each, *const g = planes + each * p.plane;
  int64_t *const tap = (int64_t *)(planes + (each * p.plane + lines * padded + 1) / 2 * 2);
  WB_(taps_of)(v, &p, 0, each, tap);
  memset(planes, 0, sizeof(WB_T) * (size_t)(each * p.plane + lines * padded)); /* the zeros around stay */
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t chunk = unit % job->chunks, group = unit / job->chunks, until = v->batch * (chunk + 1) / job->chunks;
    WB_T *const sums = job->chunks == 1 ? job->out : job->scratch + c->threads * job->each + chunk * v->groups * some;
    WB_T *const out = sums + group * some;
    memset(out, 0, sizeof(WB_T) * (size_t)some);
    for (int64_t image = v->batch * chunk / job->chunks; image < until; ++image) {
      const WB_T *const y = job->y + image * v->y[0] + group * features * v->y[1];
      WB_(fill_planes)(&p, job->x + image * v->x[0] + group * each * v->x[1], v->x + 1, each, planes);
      for (int64_t f = 0; f < features; ++f) {
        for (int64_t line = 0; line < lines; ++line) {
          const WB_T *const of = y + f * v->y[1] + line / v->place[1] * v->y[2] + line % v->place[1] * v->y[3];
          if (v->y[4] == 1) WB_(conv_line)(g + line * padded, of, wide);
          else WB_(conv_copy)(g + line * padded, of, wide, v->y[4]);
        }
        for (int64_t t = 0; t < taps; t += 5) WB_(direct_sums)(&p, planes, tap + t, wb_smaller(5, taps - t), g, out + f * taps + t);
      }
    }
  }
  return WB_OK;
}

WB_APART static int64_t WB_(direct_weights)(wb_call *c, const wb_conv *v, const WB_T *x, const WB_T *y, WB_T *w, void *memory) {
  if (!WB_(is_narrow)(v)) return WB_(tiled_weights)(c, v, x, y, w, memory);
  WB_(conv_job) job = {.v = v, .x = x, .y = y, .out = w};
  const WB_(planes) p = WB_(planes_of)(v, 0, 5 * WB_WIDTH);
  const int64_t features = v->features / v->groups, each = v->channels / v->groups, all = v->features * each * p.taps;
  job.chunks = wb_smaller(v->batch, wb_larger(1, WB_CONV_UNITS / v->groups));
  job.each = 2 + each * p.plane + v->place[0] * v->place[1] * (v->place[2] + WB_WIDTH) + each * p.taps * (8 / (int64_t)sizeof(WB_T));
  job.each = (job.each + 63) / 64 * 64;
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
