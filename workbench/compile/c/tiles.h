/* Convolution in tiles: a product of matrices that reads its columns where the elements lie.
 *
 * A *tile* is a few rows of a product, and as many columns as fit in registers beside them:
 *
 *     sums[i][j] += sum over k of x[i][at[k]] * w[k][j].
 *
 * For results the rows are places, k counts the elements of the filters, at[k] is where an element meets the
 * planes (see planes.h), and j counts features. For the gradient by the images the same is done with results as
 * images and filters turned round, when no step lies between places. For the gradient by the filters the rows
 * are elements, and k counts places. Columns of images are made for none of them. What has features in its last
 * axis, w and the sums, is turned from and to where they are a matrix's rows.
 *
 * Included after planes.h, once for each number of bits.
 */
#ifndef WB_TILES
#define WB_TILES
/* Bytes of a vector, and vectors beside each other in a tile: all that registers hold. */
#ifdef __AVX512F__
#define WB_TILE_BYTES 64
#define WB_TILE_WIDE 4
#else
#define WB_TILE_BYTES 32
#define WB_TILE_WIDE 2
#endif
#define WB_TILE_ROWS 6
#define WB_TILE_DEEP 512   /* rows of w that stay in the cache while tiles pass */
#define WB_TILE_PLACES 384 /* places, so that their sums do too */
#ifndef WB_TILE_FULL
#define WB_TILE_FULL 7    /* tenths of a tile's columns that must be there */
#define WB_TILE_LEAST 100 /* elements of filters that a place must meet */
#endif
#endif

#if WB_BITS == 32 && !defined WB_TILES_32
#define WB_TILES_32
#define WB_HERE
#define WB_T float
#define WB_I int32_t
#define WB_(name) wb_##name##_float32
#elif WB_BITS == 64 && !defined WB_TILES_64
#define WB_TILES_64
#define WB_HERE
#define WB_T double
#define WB_I int64_t
#define WB_(name) wb_##name##_float64
#endif

#ifdef WB_HERE
#define WB_TILE_LANES (WB_TILE_BYTES / (int64_t)sizeof(WB_T))
#define WB_PANEL (WB_TILE_WIDE * WB_TILE_LANES) /* columns of a tile */
typedef WB_T WB_(tile_vector) __attribute__((vector_size(WB_TILE_BYTES), aligned(sizeof(WB_T)), may_alias));

typedef WB_T WB_(four) __attribute__((vector_size(4 * sizeof(WB_T)), aligned(sizeof(WB_T)), may_alias));
#if defined(__clang__)
#define WB_MIX(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
typedef WB_I WB_(order) __attribute__((vector_size(4 * sizeof(WB_T))));
#define WB_MIX(a, b, ...) __builtin_shuffle(a, b, (WB_(order)){__VA_ARGS__})
#endif

#define WB_TILE(V)                                                                                                \
  WB_APART WB_FUSED static void WB_(tile_##V)(int64_t n, const int64_t *restrict at, const WB_T *const *restrict x, \
                                              const WB_T *restrict w, WB_T *restrict sums) {                     \
    WB_FUSE WB_(tile_vector) sum[WB_TILE_ROWS][V];                                                                \
    _Pragma("GCC unroll 8") for (int i = 0; i < WB_TILE_ROWS; ++i)                                                \
      _Pragma("GCC unroll 8") for (int j = 0; j < V; ++j)                                                         \
        sum[i][j] = *(WB_(tile_vector) *)(sums + (i * V + j) * WB_TILE_LANES);                                         \
    for (int64_t k = 0; k < n; ++k, w += V * WB_TILE_LANES)                                                            \
      _Pragma("GCC unroll 8") for (int i = 0; i < WB_TILE_ROWS; ++i) {                                            \
        const WB_T value = x[i][at[k]];                                                                           \
        _Pragma("GCC unroll 8") for (int j = 0; j < V; ++j)                                                       \
          sum[i][j] += value * *(const WB_(tile_vector) *)(w + j * WB_TILE_LANES);                                     \
      }                                                                                                           \
    _Pragma("GCC unroll 8") for (int i = 0; i < WB_TILE_ROWS; ++i)                                                \
      _Pragma("GCC unroll 8") for (int j = 0; j < V; ++j)                                                         \
        *(WB_(tile_vector) *)(sums + (i * V + j) * WB_TILE_LANES) = sum[i][j];                                         \
  }
#if WB_TILE_WIDE == 4
WB_TILE(2) WB_TILE(4)
#else
WB_TILE(1) WB_TILE(2)
#endif
#undef WB_TILE

/* Columns of the panel in which the last `left` begin: all of a tile's, or half of them. */
static inline int64_t WB_(panel)(int64_t left) { return left > WB_PANEL / 2 ? WB_PANEL : WB_PANEL / 2; }

/* Tiles for rows that begin at x + begin[i]. */
WB_APART static void WB_(tiles)(int64_t rows, int64_t n, int64_t width, const int64_t *at, const WB_T *x, const int64_t *begin,
                                const WB_T *w, WB_T *sums) {
  for (int64_t k = 0; k < n; k += WB_TILE_DEEP)
    for (int64_t i = 0; i < rows; i += WB_TILE_ROWS) {
      const WB_T *row[WB_TILE_ROWS]; /* the last again, in place of rows that there are not */
      for (int64_t j = 0; j < WB_TILE_ROWS; ++j) row[j] = x + begin[wb_smaller(i + j, rows - 1)];
      const int64_t deep = wb_smaller(n - k, WB_TILE_DEEP);
      WB_T *const to = sums + i * width;
      const WB_T *const from = w + k * width;
#if WB_TILE_WIDE == 4
      if (width == WB_PANEL) WB_(tile_4)(deep, at + k, row, from, to);
      else WB_(tile_2)(deep, at + k, row, from, to);
#else
      if (width == WB_PANEL) WB_(tile_2)(deep, at + k, row, from, to);
      else WB_(tile_1)(deep, at + k, row, from, to);
#endif
    }
}

/* to[j][i] = from[i][j], for i < m and j < n: in squares of four by four, then what is left. So many rows of `to`
   are written at a time that they stay in the nearest cache. */
WB_APART static void WB_(turn)(int64_t m, int64_t n, const WB_T *restrict from, int64_t apart, WB_T *restrict to, int64_t width) {
  const int64_t rows = m / 4 * 4, columns = n / 4 * 4;
  for (int64_t block = 0; block < columns; block += 64)
    for (int64_t i = 0; i < rows; i += 4)
      for (int64_t j = block; j < wb_smaller(columns, block + 64); j += 4) {
        const WB_T *const at = from + i * apart + j;
        WB_(four) *const into[4] = {(WB_(four) *)(to + j * width + i), (WB_(four) *)(to + (j + 1) * width + i),
                                    (WB_(four) *)(to + (j + 2) * width + i), (WB_(four) *)(to + (j + 3) * width + i)};
        const WB_(four) a = *(const WB_(four) *)at, b = *(const WB_(four) *)(at + apart);
        const WB_(four) e = *(const WB_(four) *)(at + 2 * apart), f = *(const WB_(four) *)(at + 3 * apart);
        const WB_(four) ae = WB_MIX(a, e, 0, 4, 1, 5), bf = WB_MIX(b, f, 0, 4, 1, 5);
        const WB_(four) ae2 = WB_MIX(a, e, 2, 6, 3, 7), bf2 = WB_MIX(b, f, 2, 6, 3, 7);
        *into[0] = WB_MIX(ae, bf, 0, 4, 1, 5), *into[1] = WB_MIX(ae, bf, 2, 6, 3, 7);
        *into[2] = WB_MIX(ae2, bf2, 0, 4, 1, 5), *into[3] = WB_MIX(ae2, bf2, 2, 6, 3, 7);
      }
  for (int64_t j = 0; j < n; ++j)
    for (int64_t i = j < columns ? rows : 0; i < m; ++i) to[j * width + i] = from[i * apart + j];
}

/* Where the places of some images begin in planes that are `apart` from image to image. */
WB_APART static void WB_(places_of)(const WB_(planes) *p, int64_t images, int64_t apart, int64_t *at) {
  for (int64_t image = 0; image < images; ++image)
    for (int64_t d = 0; d < p->lines[0]; ++d)
      for (int64_t h = 0; h < p->lines[1]; ++h)
        for (int64_t q = 0; q < p->lines[2]; ++q)
          *at++ = image * apart + (d * p->step[0] * p->into[1] + h * p->step[1]) * p->row + q;
}

/* How many of the images go through the tiles together, when one has few places. */
static inline int64_t WB_(together)(int64_t images, int64_t places) {
  return wb_larger(1, wb_smaller(images, WB_TILE_PLACES / places));
}

/* The sizes of scratch memory end at multiples of 64 elements. */
static inline int64_t WB_(rounded)(int64_t n) { return (n + 63) / 64 * 64; }
static inline int64_t WB_(integers)(int64_t n) { return WB_(rounded)(n * 8 / (int64_t)sizeof(WB_T)); }

/* --- results, or images from results ---------------------------------------------------------------- */

/* Filters as panels [group, panel, element, column]; a panel is as wide as whole vectors. */
static int WB_(tiled_filters)(wb_call *c, int64_t begin, int64_t end) {
  const WB_(conv_job) *const job = (const WB_(conv_job) *)c->value[0];
  const wb_conv *const v = job->v;
  const int adjoint = job->x == NULL;
  const int64_t each = v->channels / v->groups, features = v->features / v->groups, taps = wb_volume(v->filter);
  const int64_t many = adjoint ? each : features, few = adjoint ? features : each, panels = (many + WB_PANEL - 1) / WB_PANEL;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t group = unit / panels, first = unit % panels * WB_PANEL;
    const int64_t width = WB_(panel)(many - first), columns = wb_smaller(many - first, width);
    WB_T *to = job->scratch + (group * job->block + first) * few * taps;
    const WB_T *const w = job->w + group * features * each * taps;
    if (columns < width) memset(to, 0, sizeof(WB_T) * (size_t)(few * taps * width));
    if (!adjoint) WB_(turn)(columns, few * taps, w + first * few * taps, few * taps, to, width);
    else for (int64_t f = 0; f < few; ++f, to += taps * width) WB_(turn)(columns, taps, w + (f * each + first) * taps, taps, to, width);
  }
  return WB_OK;
}

static int WB_(tiled_part)(wb_call *c, int64_t begin, int64_t end) {
  const WB_(conv_job) *const job = (const WB_(conv_job) *)c->value[0];
  const wb_conv *const v = job->v;
  const int adjoint = job->x == NULL;
  const WB_(planes) p = WB_(planes_of)(v, adjoint, 0);
  const int64_t many = (adjoint ? v->channels : v->features) / v->groups, few = (adjoint ? v->features : v->channels) / v->groups;
  const int64_t *const s = adjoint ? v->y : v->x, rows = few * p.taps, places = wb_volume(p.lines), all = few * p.plane;
  const WB_T *const from = adjoint ? job->y : job->x;
  WB_T *const planes = job->scratch + job->blocks + c->thread * job->each, *const sums = planes + WB_(rounded)(job->chunks * all);
  int64_t *const tap = (int64_t *)(sums + (job->chunks * job->tile + WB_TILE_ROWS) * WB_PANEL), *const at = tap + rows;
  WB_(taps_of)(v, &p, adjoint, few, tap);
  WB_(places_of)(&p, job->chunks, all, at);
  memset(planes, 0, sizeof(WB_T) * (size_t)(job->chunks * all)); /* the zeros around images stay */
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t image = unit / job->tiles / v->groups * job->chunks, group = unit / job->tiles % v->groups;
    const int64_t images = wb_smaller(job->chunks, v->batch - image);
    const int64_t first = unit % job->tiles * job->tile, n = wb_smaller(job->tile, places - first);
    if (unit == begin || first == 0)
      for (int64_t i = 0; i < images; ++i)
        WB_(fill_planes)(&p, from + (image + i) * s[0] + group * few * s[1], s + 1, few, planes + i * all);
    WB_T *const out = job->out + (image * v->groups + group) * many * places + first;
    for (int64_t panel = 0; panel < many; panel += WB_PANEL) {
      const int64_t width = WB_(panel)(many - panel);
      memset(sums, 0, sizeof(WB_T) * (size_t)(images * n * width));
      WB_(tiles)(images * n, rows, width, tap, planes, at + first, job->scratch + (group * job->block + panel) * rows, sums);
      for (int64_t i = 0; i < images; ++i)
        WB_(turn)(n, wb_smaller(width, many - panel), sums + i * n * width, width, out + (i * v->groups * many + panel) * places, places);
    }
  }
  return WB_OK;
}

/* Results from x, or images from y where x is NULL. */
WB_APART static int64_t WB_(tiled)(wb_call *c, const wb_conv *v, const WB_T *x, const WB_T *y, const WB_T *w, WB_T *out, void *memory) {
  WB_(conv_job) job = {.v = v, .x = x, .y = y, .out = out};
  const WB_(planes) p = WB_(planes_of)(v, x == NULL, 0);
  const int64_t features = v->features / v->groups, each = v->channels / v->groups, places = wb_volume(p.lines);
  const int64_t many = x ? features : each, few = x ? each : features, rows = few * p.taps, all = v->features * each * p.taps;
  job.chunks = WB_(together)(v->batch / 4, places); /* images of a unit, or a part of one */
  job.tile = wb_smaller(places, WB_TILE_PLACES);
  job.tiles = (places + job.tile - 1) / job.tile;
  job.block = (many + WB_PANEL / 2 - 1) / (WB_PANEL / 2) * (WB_PANEL / 2); /* columns of filters, and their elements */
  job.blocks = WB_(rounded)(v->groups * job.block * rows);
  job.each = WB_(rounded)(job.chunks * few * p.plane) + (job.chunks * job.tile + WB_TILE_ROWS) * WB_PANEL;
  job.each += WB_(integers)(rows + job.chunks * places);
  if (!memory) return (int64_t)sizeof(WB_T) * (job.blocks + c->threads * job.each + all + 64);
  job.scratch = (WB_T *)(((uintptr_t)memory + 63) / 64 * 64);
  job.w = WB_(conv_filters)(v, w, job.scratch + job.blocks + c->threads * job.each);
  const int64_t panels = (many + WB_PANEL - 1) / WB_PANEL, units = (v->batch + job.chunks - 1) / job.chunks * v->groups * job.tiles;
  const int rc = WB_(conv_share)(c, &job, WB_(tiled_filters), v->groups * panels, (double)(16 * rows * WB_PANEL));
  if (rc) return rc;
  return WB_(conv_share)(c, &job, WB_(tiled_part), units, (double)rows * (double)many * (double)(job.chunks * job.tile));
}

/* --- filters from images and results ------------------------------------------------------------------ */

static int WB_(tiled_weights_part)(wb_call *c, int64_t begin, int64_t end) {
  const WB_(conv_job) *const job = (const WB_(conv_job) *)c->value[0];
  const wb_conv *const v = job->v;
  const WB_(planes) p = WB_(planes_of)(v, 0, 0);
  const int64_t each = v->channels / v->groups, features = v->features / v->groups, places = wb_volume(v->place);
  const int64_t deep = job->block * p.taps + WB_TILE_ROWS, together = WB_(together)((v->batch + job->chunks - 1) / job->chunks, places);
  const int64_t all = job->block * p.plane; /* of an image */
  WB_T *const planes = job->scratch + c->thread * job->each, *const copy = planes + WB_(rounded)(together * all);
  WB_T *const turned = copy + WB_(rounded)(features * places);
  int64_t *const tap = (int64_t *)(turned + together * job->tile * WB_PANEL), *const at = tap + job->block * p.taps;
  WB_(taps_of)(v, &p, 0, job->block, tap);
  WB_(places_of)(&p, together, all, at);
  memset(planes, 0, sizeof(WB_T) * (size_t)(together * all));
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t chunk = unit % job->chunks, block = unit / job->chunks % job->blocks, group = unit / job->chunks / job->blocks;
    const int64_t channel = block * job->block, channels = wb_smaller(job->block, each - channel);
    const int64_t rows = channels * p.taps, until = v->batch * (chunk + 1) / job->chunks;
    WB_T *const sums = job->scratch + c->threads * job->each + unit * job->tiles;
    for (int64_t panel = 0; panel < features; panel += WB_PANEL)
      memset(sums + panel * deep, 0, sizeof(WB_T) * (size_t)(rows * WB_(panel)(features - panel)));
    for (int64_t image = v->batch * chunk / job->chunks; image < until; image += together) {
      const int64_t images = wb_smaller(together, until - image);
      const WB_T *const x = job->x + image * v->x[0] + (group * each + channel) * v->x[1], *y = NULL;
      for (int64_t i = 0; i < images; ++i) WB_(fill_planes)(&p, x + i * v->x[0], v->x + 1, channels, planes + i * all);
      for (int64_t panel = 0; panel < features; panel += WB_PANEL) {
        const int64_t width = WB_(panel)(features - panel), columns = wb_smaller(width, features - panel);
        for (int64_t first = 0, apart = 0; first < places; first += job->tile) {
          const int64_t n = wb_smaller(job->tile, places - first);
          if (columns < width) memset(turned, 0, sizeof(WB_T) * (size_t)(images * n * width));
          for (int64_t i = 0; i < images; ++i) {
            if (first == 0) y = WB_(conv_rows)(v, job->y, image + i, group, copy, &apart);
            WB_(turn)(columns, n, y + panel * apart + first, apart, turned + i * n * width, width);
          }
          WB_(tiles)(rows, images * n, width, at + first, planes, tap, turned, sums + panel * deep);
        }
      }
    }
  }
  return WB_OK;
}

/* Adds the partial sums of units, in order, and turns them to where the filters lie. */
static int WB_(tiled_weights_sum)(wb_call *c, int64_t begin, int64_t end) {
  const WB_(conv_job) *const job = (const WB_(conv_job) *)c->value[0];
  const wb_conv *const v = job->v;
  const int64_t each = v->channels / v->groups, features = v->features / v->groups, taps = wb_volume(v->filter);
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t channel = unit % job->blocks * job->block, rows = wb_smaller(job->block, each - channel) * taps;
    for (int64_t panel = 0; panel < features; panel += WB_PANEL) {
      const int64_t width = WB_(panel)(features - panel), deep = job->block * taps + WB_TILE_ROWS;
      WB_T *const sums = job->scratch + c->threads * job->each + unit * job->chunks * job->tiles + panel * deep;
      for (int64_t chunk = 1; chunk < job->chunks; ++chunk)
        for (int64_t i = 0; i < rows * width; ++i) sums[i] += sums[chunk * job->tiles + i];
      WB_T *const out = job->out + ((unit / job->blocks * features + panel) * each + channel) * taps;
      WB_(turn)(rows, wb_smaller(width, features - panel), sums, width, out, each * taps);
    }
  }
  return WB_OK;
}

WB_APART static int64_t WB_(tiled_gradient)(wb_call *c, const wb_conv *v, const WB_T *x, const WB_T *y, WB_T *w, void *memory) {
  WB_(conv_job) job = {.v = v, .x = x, .y = y, .out = w};
  const WB_(planes) p = WB_(planes_of)(v, 0, 0);
  const int64_t each = v->channels / v->groups, features = v->features / v->groups, places = wb_volume(v->place);
  job.block = wb_smaller(each, wb_larger(1, 2 * WB_TILE_PLACES / p.taps));
  job.blocks = (each + job.block - 1) / job.block;
  job.block = (each + job.blocks - 1) / job.blocks;
  job.blocks = (each + job.block - 1) / job.block;
  job.tile = wb_smaller(places, WB_TILE_PLACES);
  job.tiles = WB_(rounded)((job.block * p.taps + WB_TILE_ROWS) * (features + WB_PANEL)); /* sums of a unit */
  const int64_t units = v->groups * job.blocks;
  job.chunks = wb_smaller(v->batch, wb_larger(1, wb_smaller(WB_CONV_UNITS / units, (8 << 20) / (units * job.tiles))));
  const int64_t together = WB_(together)((v->batch + job.chunks - 1) / job.chunks, places);
  job.each = WB_(rounded)(together * job.block * p.plane) + WB_(rounded)(features * places) + together * job.tile * WB_PANEL;
  job.each += WB_(integers)(job.block * p.taps + together * places);
  if (!memory) return (int64_t)sizeof(WB_T) * (c->threads * job.each + units * job.chunks * job.tiles) + 64;
  job.scratch = (WB_T *)(((uintptr_t)memory + 63) / 64 * 64);
  const double work = (double)v->batch / (double)job.chunks * (double)places * (double)(job.block * p.taps) * (double)features;
  const int rc = WB_(conv_share)(c, &job, WB_(tiled_weights_part), units * job.chunks, work);
  return rc ? rc : WB_(conv_share)(c, &job, WB_(tiled_weights_sum), units, (double)(job.chunks * job.tiles));
}

/* --- which way ---------------------------------------------------------------------------------------- */

/* Whether tiles are faster: for so many columns that vectors are full, and so many rows that turning is little. */
WB_APART static int WB_(is_tiled)(const wb_conv *v, int64_t many, int64_t few, int64_t places) {
  const int64_t rows = few / v->groups * wb_volume(v->filter), columns = many / v->groups;
  if (rows == 0 || columns == 0 || places == 0 || v->batch == 0) return 0;
  const int64_t half = WB_PANEL / 2, whole = (columns + half - 1) / half * half;
  return columns * 10 >= whole * WB_TILE_FULL && rows >= WB_TILE_LEAST;
}

WB_APART static int64_t WB_(tiled_results)(wb_call *c, const wb_conv *v, const WB_T *x, const WB_T *w, WB_T *y, void *memory) {
  if (!WB_(is_tiled)(v, v->features, v->channels, wb_volume(v->place))) return WB_(conv_results)(c, v, x, w, y, memory);
  return WB_(tiled)(c, v, x, NULL, w, y, memory);
}

/* The zeros around results would make NaN of an infinite filter where it meets nothing. */
WB_APART static int64_t WB_(tiled_images)(wb_call *c, const wb_conv *v, const WB_T *y, const WB_T *w, WB_T *x, void *memory) {
  const int near = v->stride[0] == 1 && v->stride[1] == 1 && v->stride[2] == 1;
  if (!near || !WB_(is_tiled)(v, v->channels, v->features, wb_volume(v->image))) return WB_(conv_images)(c, v, y, w, x, memory);
  if (!memory) return wb_larger(WB_(tiled)(c, v, NULL, y, w, x, NULL), WB_(conv_images)(c, v, y, w, x, NULL));
  return WB_(are_finite)(v, w) ? WB_(tiled)(c, v, NULL, y, w, x, memory) : WB_(conv_images)(c, v, y, w, x, memory);
}

WB_APART static int64_t WB_(tiled_weights)(wb_call *c, const wb_conv *v, const WB_T *x, const WB_T *y, WB_T *w, void *memory) {
  if (!WB_(is_tiled)(v, v->features, v->channels, wb_volume(v->place))) return WB_(conv_weights)(c, v, x, y, w, memory);
  return WB_(tiled_gradient)(c, v, x, y, w, memory);
}
#undef WB_TILE_LANES
#undef WB_PANEL
#undef WB_HERE
#undef WB_MIX
#undef WB_I
#undef WB_T
#undef WB_
#endif
