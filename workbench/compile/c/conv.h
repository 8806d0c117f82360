/* Convolution and its two adjoints: columns of an image, and a product of matrices.
 *
 * The elements of an image that a filter meets at one place are a column; a convolution is the product
 * of the filters [features, elements] and the columns [elements, places]. Columns are made for so many
 * places at a time that they stay in the cache, so that they cost far less than the product. One image,
 * or a part of one, is a unit of work; threads share the units, and what a unit computes does not depend
 * on who computes it. The gradient by the filters is a sum over images: it is gathered in a number of
 * partial sums that depends on sizes alone, and these are added in order.
 *
 * Where filters have many elements, as between wide layers, tiles.h does the same without columns, and calls
 * what is here for the rest.
 *
 * All is written for three axes; fewer are axes of size 1 in front. This file is included once for each
 * number of bits of a float, WB_BITS.
 */
#ifndef WB_CONV
#define WB_CONV
/* Functions that are not made anew for the sizes of one convolution: that would double the time to compile. */
#if defined(__clang__)
#define WB_APART __attribute__((unused, noinline))
#else
#define WB_APART __attribute__((unused, noinline, noclone))
#endif

/* Sums of products, in one instruction each where the processor has that. */
#if defined(__clang__)
#define WB_FUSED
#define WB_FUSE _Pragma("clang fp contract(fast)")
#else
#define WB_FUSED __attribute__((optimize("fp-contract=fast")))
#define WB_FUSE
#endif

typedef struct {
  int64_t batch, channels, features, groups;
  int64_t image[3], filter[3], place[3]; /* sizes */
  int64_t pad[3], stride[3], gap[3];     /* zeros in front, steps between places, and within filters */
  int64_t flip;                          /* whether filters are turned round */
  int64_t x[5], w[5], y[5];              /* strides of images, filters, results */
} wb_conv;

/* What a kernel calls where the functions below are compiled apart. */
#define WB_CONVOLUTION(name, T)                                                                                            \
  int64_t name(wb_call *c, const wb_conv *v, const T *first, const T *second, T *out, void *memory)

#define WB_CONV_CACHE (384 * 1024) /* bytes that columns may take */
#define WB_CONV_UNITS 16           /* so many units are enough for any number of threads */

WB_UNUSED static inline int64_t wb_volume(const int64_t *sizes) { return sizes[0] * sizes[1] * sizes[2]; }
WB_UNUSED static inline int64_t wb_smaller(int64_t a, int64_t b) { return a < b ? a : b; }
WB_UNUSED static inline int64_t wb_ceil_div(int64_t a, int64_t b) { return a > 0 ? (a + b - 1) / b : -(-a / b); }

/* Whether three axes lie in memory one element after the other. */
WB_APART static int wb_is_packed(const int64_t *sizes, const int64_t *strides) {
  int64_t step = 1;
  for (int k = 2; k >= 0; --k) {
    if (sizes[k] != 1 && strides[k] != step) return 0;
    step *= sizes[k];
  }
  return 1;
}

/* Whether the columns of an image are the image: filters of one element, no zeros, steps of one. */
WB_APART static int wb_is_pointwise(const wb_conv *v) {
  for (int k = 0; k < 3; ++k)
    if (v->filter[k] != 1 || v->stride[k] != 1 || v->pad[k] != 0 || v->place[k] != v->image[k]) return 0;
  return wb_is_packed(v->image, v->x + 2);
}

/* For how many places columns are made at a time, when one has so many bytes. */
WB_APART static int64_t wb_conv_tile(const wb_conv *v, int64_t bytes) {
  const int64_t places = wb_volume(v->place), fit = WB_CONV_CACHE / wb_larger(bytes, 1) / 16 * 16;
  if (places <= fit) return wb_larger(places, 1);
  const int64_t tile = wb_larger(fit, 64), tiles = (places + tile - 1) / tile;
  return wb_smaller(places, ((places + tiles - 1) / tiles + 15) / 16 * 16);
}
#endif

#if WB_BITS == 32 && !defined WB_CONV_32
#define WB_CONV_32
#define WB_HERE
#define WB_T float
#define WB_(name) wb_##name##_float32
#define WB_GEMM_T wb_sgemm_t
#define WB_GEMM WB_SGEMM
#elif WB_BITS == 64 && !defined WB_CONV_64
#define WB_CONV_64
#define WB_HERE
#define WB_T double
#define WB_(name) wb_##name##_float64
#define WB_GEMM_T wb_dgemm_t
#define WB_GEMM WB_DGEMM
#endif

#ifdef WB_HERE
/* What the parts of a loop over units are told. */
typedef struct {
  const wb_conv *v;
  const WB_T *x, *w, *y; /* two of them are given */
  WB_T *out;             /* the third */
  WB_T *scratch;         /* each thread has `each` elements of it */
  int64_t each, tile, tiles, block, blocks, chunks, wide, slices;
  int64_t *finite;
} WB_(conv_job);

/* The product below where there is no library. */
WB_APART __attribute__((cold)) static void WB_(conv_product_loops)(int ta, int tb, int64_t m, int64_t n, int64_t k, const WB_T *a,
                                                                   int64_t lda, const WB_T *b, int64_t ldb, WB_T beta, WB_T *c,
                                                                   int64_t ldc) {
  const int64_t a0 = ta ? 1 : lda, a1 = ta ? lda : 1, b0 = tb ? 1 : ldb, b1 = tb ? ldb : 1;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      WB_T sum = beta == 0 ? 0 : beta * c[i * ldc + j];
      for (int64_t l = 0; l < k; ++l) sum += a[i * a0 + l * a1] * b[l * b0 + j * b1];
      c[i * ldc + j] = sum;
    }
}

/* c [m, n] = a b + beta c, for matrices of which any may have rows that lie apart; a or b transposed. */
WB_APART static void WB_(conv_product)(int ta, int tb, int64_t m, int64_t n, int64_t k, const WB_T *a, int64_t lda,
                                        const WB_T *b, int64_t ldb, WB_T beta, WB_T *c, int64_t ldc) {
  if (m == 0 || n == 0) return;
  if (k == 0 || !wb_blas) {
    WB_(conv_product_loops)(ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc);
    return;
  }
  int64_t rows = m, wide = n;
  const double work = (double)m * (double)n * (double)k;
  if ((!tb || n <= 96) && WB_BLAS_THREADS == 1 && work > 1e6 && work < WB_BLOCKED) { /* as products of prelude.h are cut */
    const int64_t columns = n <= 96 ? n : (n / ((n + 63) / 64) + 15) / 16 * 16, fit = 1000000 / (columns * k) / 8 * 8;
    if (fit > 0) {
      const int64_t parts = (m + fit - 1) / fit;
      wide = columns, rows = ((m + parts - 1) / parts + 7) / 8 * 8;
    }
  }
  for (int64_t j = 0; j < n; j += wide)
    for (int64_t i = 0; i < m; i += rows)
      ((WB_GEMM_T *)wb_blas[WB_GEMM])(WB_ROW_MAJOR, ta ? WB_TRANSPOSED : WB_PLAIN, tb ? WB_TRANSPOSED : WB_PLAIN,
                                      (wb_int)wb_smaller(rows, m - i), (wb_int)wb_smaller(wide, n - j), (wb_int)k, 1,
                                      a + (ta ? i : i * lda), (wb_int)lda, b + (tb ? j * ldb : j), (wb_int)ldb, beta,
                                      c + i * ldc + j, (wb_int)ldc);
}

/* A line of n elements; most have few, and none should cost a call. */
static inline void WB_(conv_line)(WB_T *restrict to, const WB_T *restrict from, int64_t n) {
  enum { WIDTH = 32 / sizeof(WB_T), HALF = WIDTH / 2 };
  if (n >= WIDTH) {
    int64_t q = 0;
    for (; q + WIDTH <= n; q += WIDTH) memcpy(to + q, from + q, 32);
    if (q < n) memcpy(to + n - WIDTH, from + n - WIDTH, 32);
  } else if (n >= HALF) {
    memcpy(to, from, 16);
    memcpy(to + n - HALF, from + n - HALF, 16);
  } else {
    for (int64_t q = 0; q < n; ++q) to[q] = from[q];
  }
}

/* Adds a line to another. */
static inline void WB_(conv_add_line)(WB_T *restrict to, const WB_T *restrict from, int64_t n) {
  typedef WB_T vector __attribute__((vector_size(32), aligned(sizeof(WB_T)), may_alias));
  typedef WB_T half __attribute__((vector_size(16), aligned(sizeof(WB_T)), may_alias));
  enum { WIDTH = 32 / sizeof(WB_T), HALF = WIDTH / 2 };
  int64_t q = 0;
  for (; q + WIDTH <= n; q += WIDTH) *(vector *)(to + q) += *(const vector *)(from + q);
  if (q + HALF <= n) *(half *)(to + q) += *(const half *)(from + q), q += HALF;
  for (; q < n; ++q) to[q] += from[q];
}

/* Some elements, `step` apart, one after the other. */
WB_APART static void WB_(conv_copy)(WB_T *restrict to, const WB_T *restrict from, int64_t n, int64_t step) {
  if (step == 1) for (int64_t i = 0; i < n; ++i) to[i] = from[i];
  else if (step == 2) for (int64_t i = 0; i < n; ++i) to[i] = from[2 * i]; /* in vectors */
  else for (int64_t i = 0; i < n; ++i) to[i] = from[i * step];
}

/* The columns of places first <= p < last, as rows for each element of the filters of some channels; x is
   the first of these. */
WB_APART static void WB_(conv_columns)(const wb_conv *v, const WB_T *x, int64_t channels, int64_t first, int64_t last,
                                        WB_T *columns) {
  const int64_t wide = v->place[2], tall = v->place[1], n = last - first;
  const int64_t line0 = first / wide, from0 = first % wide, step = v->stride[2] * v->x[4];
  for (int64_t ch = 0; ch < channels; ++ch)
    for (int64_t a = 0; a < v->filter[0]; ++a)
      for (int64_t b = 0; b < v->filter[1]; ++b)
        for (int64_t e = 0; e < v->filter[2]; ++e, columns += n) {
          const int64_t at0 = (v->flip ? v->filter[0] - 1 - a : a) * v->gap[0] - v->pad[0];
          const int64_t at1 = (v->flip ? v->filter[1] - 1 - b : b) * v->gap[1] - v->pad[1];
          const int64_t at2 = (v->flip ? v->filter[2] - 1 - e : e) * v->gap[2] - v->pad[2];
          /* Of the places of a line, those in low <= q < high meet the image. */
          const int64_t low = wb_larger(0, wb_ceil_div(-at2, v->stride[2]));
          const int64_t high = wb_smaller(wide, wb_larger(low, wb_ceil_div(v->image[2] - at2, v->stride[2])));
          int64_t d = line0 / tall, h = line0 % tall, from = from0;
          if (step == 1 && low == 0 && high == wide && from == 0 && n % wide == 0) { /* whole lines, and no zeros in them */
            const WB_T *const of = x + ch * v->x[1] + at2 * v->x[4];
            for (WB_T *to = columns, *const end = columns + n; to < end; to += wide) {
              const int64_t i = d * v->stride[0] + at0, j = h * v->stride[1] + at1;
              if (i < 0 || i >= v->image[0] || j < 0 || j >= v->image[1]) memset(to, 0, sizeof(WB_T) * (size_t)wide);
              else WB_(conv_line)(to, of + i * v->x[2] + j * v->x[3], wide);
              if (++h == tall) h = 0, ++d;
            }
            continue;
          }
          for (WB_T *to = columns, *const end = columns + n; to < end;) {
            const int64_t until = wb_smaller(wide, from + (end - to));
            const int64_t i = d * v->stride[0] + at0, j = h * v->stride[1] + at1;
            int64_t begin = wb_smaller(until, wb_larger(from, low)), stop = wb_larger(begin, wb_smaller(until, high));
            if (i < 0 || i >= v->image[0] || j < 0 || j >= v->image[1]) begin = stop = until;
            for (int64_t q = from; q < begin; ++q) *to++ = 0;
            if (begin < stop && step == 1)
              WB_(conv_line)(to, x + ch * v->x[1] + i * v->x[2] + j * v->x[3] + (at2 + begin) * v->x[4], stop - begin);
            else if (begin < stop)
              WB_(conv_copy)(to, x + ch * v->x[1] + i * v->x[2] + j * v->x[3] + at2 * v->x[4] + begin * step, stop - begin, step);
            to += stop - begin;
            for (int64_t q = stop; q < until; ++q) *to++ = 0;
            from = 0;
            if (++h == tall) h = 0, ++d;
          }
        }
}

/* Adds columns to where their elements lie in the image, which is packed. */
WB_APART static void WB_(conv_spread)(const wb_conv *v, const WB_T *columns, int64_t channels, int64_t first, int64_t last,
                                       WB_T *x) {
  const int64_t wide = v->place[2], tall = v->place[1], n = last - first;
  const int64_t line0 = first / wide, from0 = first % wide, step = v->stride[2];
  for (int64_t ch = 0; ch < channels; ++ch)
    for (int64_t a = 0; a < v->filter[0]; ++a)
      for (int64_t b = 0; b < v->filter[1]; ++b)
        for (int64_t e = 0; e < v->filter[2]; ++e, columns += n) {
          const int64_t at0 = (v->flip ? v->filter[0] - 1 - a : a) * v->gap[0] - v->pad[0];
          const int64_t at1 = (v->flip ? v->filter[1] - 1 - b : b) * v->gap[1] - v->pad[1];
          const int64_t at2 = (v->flip ? v->filter[2] - 1 - e : e) * v->gap[2] - v->pad[2];
          const int64_t low = wb_larger(0, wb_ceil_div(-at2, v->stride[2]));
          const int64_t high = wb_smaller(wide, wb_larger(low, wb_ceil_div(v->image[2] - at2, v->stride[2])));
          int64_t d = line0 / tall, h = line0 % tall, from = from0;
          if (step == 1 && low == 0 && high == wide && from == 0 && n % wide == 0) { /* as in conv_columns */
            WB_T *const into = x + ch * v->image[0] * v->image[1] * v->image[2] + at2;
            for (const WB_T *of = columns, *const end = columns + n; of < end; of += wide) {
              const int64_t i = d * v->stride[0] + at0, j = h * v->stride[1] + at1;
              if (i >= 0 && i < v->image[0] && j >= 0 && j < v->image[1])
                WB_(conv_add_line)(into + (i * v->image[1] + j) * v->image[2], of, wide);
              if (++h == tall) h = 0, ++d;
            }
            continue;
          }
          for (const WB_T *of = columns, *const end = columns + n; of < end;) {
            const int64_t until = wb_smaller(wide, from + (end - of));
            const int64_t i = d * v->stride[0] + at0, j = h * v->stride[1] + at1;
            int64_t begin = wb_smaller(until, wb_larger(from, low)), stop = wb_larger(begin, wb_smaller(until, high));
            if (i < 0 || i >= v->image[0] || j < 0 || j >= v->image[1]) begin = stop = until;
            WB_T *restrict const to = x + ((ch * v->image[0] + i) * v->image[1] + j) * v->image[2] + at2;
            const WB_T *restrict const some = of - from;
            if (step == 1) WB_(conv_add_line)(to + begin, some + begin, stop - begin);
            else for (int64_t q = begin; q < stop; ++q) to[q * step] += some[q];
            of += until - from;
            from = 0;
            if (++h == tall) h = 0, ++d;
          }
        }
}

/* The results [features, places] of one image and group as rows of a matrix: where they lie, or in `copy`. */
WB_APART static const WB_T *WB_(conv_rows)(const wb_conv *v, const WB_T *y, int64_t image, int64_t group, WB_T *copy,
                                            int64_t *apart) {
  const int64_t features = v->features / v->groups, places = wb_volume(v->place);
  const WB_T *of = y + image * v->y[0] + group * features * v->y[1];
  *apart = v->y[1];
  if (wb_is_packed(v->place, v->y + 2) && (features == 1 || *apart >= places)) {
    if (*apart < places) *apart = places;
    return of;
  }
  *apart = places;
  WB_T *to = copy;
  for (int64_t f = 0; f < features; ++f)
    for (int64_t d = 0; d < v->place[0]; ++d)
      for (int64_t h = 0; h < v->place[1]; ++h, to += v->place[2])
        WB_(conv_copy)(to, of + f * v->y[1] + d * v->y[2] + h * v->y[3], v->place[2], v->y[4]);
  return copy;
}

/* The filters, one after the other: where they lie, or in `copy`. */
WB_APART __attribute__((cold)) static const WB_T *WB_(conv_filters)(const wb_conv *v, const WB_T *w, WB_T *copy) {
  const int64_t each = v->channels / v->groups, size = wb_volume(v->filter);
  if (wb_is_packed(v->filter, v->w + 2) && (each == 1 || v->w[1] == size) && (v->features == 1 || v->w[0] == each * size))
    return w;
  WB_T *to = copy;
  for (int64_t f = 0; f < v->features; ++f)
    for (int64_t ch = 0; ch < each; ++ch)
      for (int64_t a = 0; a < v->filter[0]; ++a)
        for (int64_t b = 0; b < v->filter[1]; ++b, to += v->filter[2])
          WB_(conv_copy)(to, w + f * v->w[0] + ch * v->w[1] + a * v->w[2] + b * v->w[3], v->filter[2], v->w[4]);
  return copy;
}

/* Runs a part for all units; one costs about as much as so many multiplications in a product of matrices. */
WB_APART static int WB_(conv_share)(wb_call *c, WB_(conv_job) *job, wb_part *part, int64_t units, double work) {
  void *value[] = {job};
  wb_call own = *c;
  own.value = value;
  const int rc = wb_share(&own, part, units, (int64_t)(work / 8) + 1);
  if (rc) c->failure = own.failure;
  return rc;
}

/* --- results from images and filters ------------------------------------------------------------------ */

static int WB_(conv_results_part)(wb_call *c, int64_t begin, int64_t end) {
  const WB_(conv_job) *const job = (const WB_(conv_job) *)c->value[0];
  const wb_conv *const v = job->v;
  const int64_t each = v->channels / v->groups, features = v->features / v->groups;
  const int64_t elements = each * wb_volume(v->filter), places = wb_volume(v->place);
  const int pointwise = wb_is_pointwise(v) && (each == 1 || v->x[1] >= places);
  WB_T *const columns = job->scratch + c->thread * job->each;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t image = unit / job->tiles, first = unit % job->tiles * job->tile;
    const int64_t last = wb_smaller(first + job->tile, places);
    for (int64_t group = 0; group < v->groups; ++group) {
      const WB_T *const x = job->x + image * v->x[0] + group * each * v->x[1], *b = x + first;
      int64_t ldb = wb_larger(v->x[1], places);
      if (!pointwise) {
        WB_(conv_columns)(v, x, each, first, last, columns);
        b = columns, ldb = last - first;
      }
      WB_(conv_product)(0, 0, features, last - first, elements, job->w + group * features * elements, wb_larger(elements, 1), b,
                        ldb, 0, job->out + (image * v->features + group * features) * places + first, places);
    }
  }
  return WB_OK;
}

/* Sets up the work, and the scratch memory that it takes: bytes, when `memory` is NULL. */
WB_APART static int64_t WB_(conv_results)(wb_call *c, const wb_conv *v, const WB_T *x, const WB_T *w, WB_T *y, void *memory) {
  const int64_t elements = v->channels / v->groups * wb_volume(v->filter), places = wb_volume(v->place);
  WB_(conv_job) job = {.v = v, .x = x, .w = w, .out = y};
  job.tile = wb_conv_tile(v, elements * (int64_t)sizeof(WB_T));
  job.tiles = (places + job.tile - 1) / job.tile;
  job.each = (elements * job.tile + 63) / 64 * 64;
  if (!memory) return (int64_t)sizeof(WB_T) * (v->features * elements + c->threads * job.each);
  job.scratch = (WB_T *)memory;
  job.w = WB_(conv_filters)(v, w, job.scratch + c->threads * job.each);
  const double work = (double)v->features * (double)elements * (double)job.tile;
  return WB_(conv_share)(c, &job, WB_(conv_results_part), v->batch * job.tiles, work);
}

/* --- images from results and filters ------------------------------------------------------------------ */

static int WB_(conv_images_part)(wb_call *c, int64_t begin, int64_t end) {
  const WB_(conv_job) *const job = (const WB_(conv_job) *)c->value[0];
  const wb_conv *const v = job->v;
  const int64_t each = v->channels / v->groups, features = v->features / v->groups;
  const int64_t size = wb_volume(v->filter), places = wb_volume(v->place), pixels = wb_volume(v->image);
  const int pointwise = wb_is_pointwise(v);
  WB_T *const columns = job->scratch + c->thread * job->each, *const copy = columns + job->block * size * job->tile;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t image = unit / (v->groups * job->blocks), group = unit / job->blocks % v->groups;
    const int64_t channel = unit % job->blocks * job->block, channels = wb_smaller(job->block, each - channel);
    WB_T *const x = job->out + (image * v->channels + group * each + channel) * pixels;
    const WB_T *const w = job->w + (group * features * each + channel) * size;
    int64_t apart;
    const WB_T *const y = WB_(conv_rows)(v, job->y, image, group, copy, &apart);
    if (pointwise) {
      WB_(conv_product)(1, 0, channels, places, features, w, each, y, apart, 0, x, places);
      continue;
    }
    memset(x, 0, sizeof(WB_T) * (size_t)(channels * pixels));
    for (int64_t first = 0; first < places; first += job->tile) {
      const int64_t last = wb_smaller(first + job->tile, places);
      WB_(conv_product)(1, 0, channels * size, last - first, features, w, each * size, y + first, apart, 0, columns, last - first);
      WB_(conv_spread)(v, columns, channels, first, last, x);
    }
  }
  return WB_OK;
}

WB_APART static int64_t WB_(conv_images)(wb_call *c, const wb_conv *v, const WB_T *y, const WB_T *w, WB_T *x, void *memory) {
  const int64_t each = v->channels / v->groups, size = wb_volume(v->filter), places = wb_volume(v->place);
  if (v->channels == 0) return memory ? WB_OK : 1;
  WB_(conv_job) job = {.v = v, .y = y, .w = w, .out = x};
  const int64_t wanted = wb_larger(1, WB_CONV_UNITS / wb_larger(v->batch * v->groups, 1));
  job.block = (each + wanted - 1) / wanted;
  job.block = wb_smaller(each, wb_larger(job.block, (48 + size - 1) / size));
  job.blocks = (each + job.block - 1) / job.block;
  job.tile = wb_conv_tile(v, job.block * size * (int64_t)sizeof(WB_T));
  const int64_t features = v->features / v->groups;
  job.each = (job.block * size * job.tile + features * places + 63) / 64 * 64;
  if (!memory) return (int64_t)sizeof(WB_T) * (v->features * each * size + c->threads * job.each);
  job.scratch = (WB_T *)memory;
  job.w = WB_(conv_filters)(v, w, job.scratch + c->threads * job.each);
  const double work = (double)features * (double)(job.block * size) * (double)places;
  return WB_(conv_share)(c, &job, WB_(conv_images_part), v->batch * v->groups * job.blocks, work);
}

/* --- filters from images and results ------------------------------------------------------------------ */

static int WB_(conv_weights_part)(wb_call *c, int64_t begin, int64_t end) {
  const WB_(conv_job) *const job = (const WB_(conv_job) *)c->value[0];
  const wb_conv *const v = job->v;
  const int64_t each = v->channels / v->groups, features = v->features / v->groups;
  const int64_t size = wb_volume(v->filter), places = wb_volume(v->place), all = v->features * each * size;
  const int pointwise = wb_is_pointwise(v);
  WB_T *const columns = job->scratch + c->thread * job->each, *const copy = columns + job->block * size * job->tile;
  WB_T *const sums = job->scratch + c->threads * job->each;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t chunk = unit % job->chunks, block = unit / job->chunks % job->blocks, group = unit / job->chunks / job->blocks;
    const int64_t channel = block * job->block, channels = wb_smaller(job->block, each - channel);
    WB_T *const out = (job->chunks == 1 ? job->out : sums + chunk * all) + (group * features * each + channel) * size;
    const int64_t until = v->batch * (chunk + 1) / job->chunks;
    WB_T beta = 0;
    for (int64_t image = v->batch * chunk / job->chunks; image < until; ++image) {
      int64_t apart;
      const WB_T *const y = WB_(conv_rows)(v, job->y, image, group, copy, &apart);
      const WB_T *const x = job->x + image * v->x[0] + (group * each + channel) * v->x[1];
      if (pointwise && (channels == 1 || v->x[1] >= places)) {
        WB_(conv_product)(0, 1, features, channels, places, y, apart, x, wb_larger(v->x[1], places), beta, out, each);
        beta = 1;
        continue;
      }
      for (int64_t first = 0; first < places; first += job->tile, beta = 1) {
        const int64_t last = wb_smaller(first + job->tile, places);
        WB_(conv_columns)(v, x, channels, first, last, columns);
        WB_(conv_product)(0, 1, features, channels * size, last - first, y + first, apart, columns, last - first, beta, out,
                          each * size);
      }
    }
  }
  return WB_OK;
}

/* Adds the partial sums, in order. */
static int WB_(conv_weights_sum)(wb_call *c, int64_t begin, int64_t end) {
  const WB_(conv_job) *const job = (const WB_(conv_job) *)c->value[0];
  const wb_conv *const v = job->v;
  const int64_t all = v->features * (v->channels / v->groups) * wb_volume(v->filter);
  const WB_T *const sums = job->scratch + c->threads * job->each;
  for (int64_t i = begin; i < end; ++i) job->out[i] = sums[i];
  for (int64_t chunk = 1; chunk < job->chunks; ++chunk)
    for (int64_t i = begin; i < end; ++i) job->out[i] += sums[chunk * all + i];
  return WB_OK;
}

WB_APART static int64_t WB_(conv_weights)(wb_call *c, const wb_conv *v, const WB_T *x, const WB_T *y, WB_T *w, void *memory) {
  const int64_t each = v->channels / v->groups, size = wb_volume(v->filter), places = wb_volume(v->place);
  const int64_t features = v->features / v->groups, all = v->features * each * size;
  if (all == 0 || v->batch == 0 || places == 0) {
    if (memory) memset(w, 0, sizeof(WB_T) * (size_t)all);
    return memory ? WB_OK : 1;
  }
  WB_(conv_job) job = {.v = v, .x = x, .y = y, .out = w};
  /* Products that BLAS does without copies, or as narrow as conv_product cuts them. */
  const int64_t fit = wb_larger(96, 1000000 / (features * places));
  job.block = wb_smaller(each, wb_larger(1, fit / size));
  job.blocks = (each + job.block - 1) / job.block;
  job.block = (each + job.blocks - 1) / job.blocks;
  job.blocks = (each + job.block - 1) / job.block;
  job.chunks = wb_larger(1, WB_CONV_UNITS / (job.blocks * v->groups));
  job.chunks = wb_smaller(v->batch, wb_smaller(job.chunks, wb_larger(1, (32 << 20) / all / (int64_t)sizeof(WB_T))));
  job.tile = wb_conv_tile(v, job.block * size * (int64_t)sizeof(WB_T));
  job.each = (job.block * size * job.tile + features * places + 63) / 64 * 64;
  if (!memory) return (int64_t)sizeof(WB_T) * (c->threads * job.each + (job.chunks > 1 ? job.chunks * all : 0));
  job.scratch = (WB_T *)memory;
  const double work = (double)features * (double)(job.block * size) * (double)places * (double)v->batch / (double)job.chunks;
  const int rc = WB_(conv_share)(c, &job, WB_(conv_weights_part), v->groups * job.blocks * job.chunks, work);
  return rc || job.chunks == 1 ? rc : WB_(conv_share)(c, &job, WB_(conv_weights_sum), all, (double)(8 * job.chunks));
}
#undef WB_HERE
#undef WB_T
#undef WB_
#undef WB_GEMM_T
#undef WB_GEMM
#endif
