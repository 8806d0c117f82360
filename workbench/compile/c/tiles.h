/* Convolution in tiles: a product of matrices that reads its columns where the elements lie.
 *
 * A *tile* is a few rows of a product, and as many columns as fit in registers beside them:
 *
 *     sums[i][j] += sum over k of x[i][at[k]] * w[in[k]][j].
 *
 * For results the rows are places, k counts the elements of the filters, at[k] is where an element meets the
 * planes (see planes.h), and j counts features. For the gradient by the images the same is done with results as
 * images and filters turned round, when no step lies between places. For the gradient by the filters the rows
 * are elements, and k counts places. Columns of images are made for none of them. What has features in its last
 * axis, w and the sums, is turned from and to where they are a matrix's rows.
 *
 * Where images are small, many places meet zeros around them: two in eleven products at 7 x 7 places and filters
 * of 3 x 3. Rows are put in such an order that those which meet the same elements stand together, and a tile
 * leaves out what all its rows meet outside. That is no change but where a factor is infinite or NaN, which
 * makes NaN of a zero; then nothing is left out. What is added to what never depends on the number of threads.
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
#define WB_TILE_PLACES 448 /* places, so that their sums do too */
#define WB_TILE_LIST 32    /* terms of a list, if filters have fewer elements */
#ifndef WB_TILE_FULL
#define WB_TILE_FULL 7    /* tenths of a tile's columns that must be there */
#define WB_TILE_LEAST 100 /* elements of filters that a place must meet */
#endif

/* The terms of a sum: n in a list, `times` over, a step apart in x and in the rows of w. */
typedef struct {
  int64_t times, n, x_step, w_step;
  const int64_t *at, *in;
} wb_terms;

/* Elements low <= i < high of filters along three axes, or places. */
typedef struct {
  int64_t low[3], high[3];
} wb_box;

WB_UNUSED static inline int wb_is_empty(const wb_box *box) {
  return box->low[0] >= box->high[0] || box->low[1] >= box->high[1] || box->low[2] >= box->high[2];
}

WB_UNUSED static inline int wb_is_same(const wb_box *box, const wb_box *other) {
  int same = 1;
  for (int k = 0; k < 3; ++k) same &= box->low[k] == other->low[k] && box->high[k] == other->high[k];
  return same;
}

/* Makes a box hold another one too. */
WB_UNUSED static inline void wb_widen(wb_box *box, const wb_box *other) {
  if (wb_is_empty(other)) return;
  const int fresh = wb_is_empty(box);
  for (int k = 0; k < 3; ++k) {
    box->low[k] = fresh ? other->low[k] : wb_smaller(box->low[k], other->low[k]);
    box->high[k] = fresh ? other->high[k] : wb_larger(box->high[k], other->high[k]);
  }
}
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
  WB_APART WB_FUSED static void WB_(tile_##V)(const wb_terms *terms, const WB_T *const *rows, const WB_T *restrict w,   \
                                              WB_T *restrict sums) {                                              \
    WB_FUSE WB_(tile_vector) sum[WB_TILE_ROWS][V];                                                                \
    const WB_T *x[WB_TILE_ROWS];                                                                                  \
    const int64_t n = terms->n, *restrict const at = terms->at, *restrict const in = terms->in;                   \
    _Pragma("GCC unroll 8") for (int i = 0; i < WB_TILE_ROWS; ++i) {                                              \
      x[i] = rows[i];                                                                                             \
      _Pragma("GCC unroll 8") for (int j = 0; j < V; ++j)                                                         \
        sum[i][j] = *(WB_(tile_vector) *)(sums + (i * V + j) * WB_TILE_LANES);                                    \
    }                                                                                                             \
    for (int64_t time = 0; time < terms->times; ++time, w += terms->w_step * (V * WB_TILE_LANES)) {               \
      for (int64_t k = 0; k < n; ++k) {                                                                           \
        const WB_T *const from = w + in[k] * (V * WB_TILE_LANES);                                                 \
        _Pragma("GCC unroll 8") for (int i = 0; i < WB_TILE_ROWS; ++i) {                                          \
          const WB_T value = x[i][at[k]];                                                                         \
          _Pragma("GCC unroll 8") for (int j = 0; j < V; ++j)                                                     \
            sum[i][j] += value * *(const WB_(tile_vector) *)(from + j * WB_TILE_LANES);                           \
        }                                                                                                         \
      }                                                                                                           \
      _Pragma("GCC unroll 8") for (int i = 0; i < WB_TILE_ROWS; ++i) x[i] += terms->x_step;                       \
    }                                                                                                             \
    _Pragma("GCC unroll 8") for (int i = 0; i < WB_TILE_ROWS; ++i)                                                \
      _Pragma("GCC unroll 8") for (int j = 0; j < V; ++j)                                                         \
        *(WB_(tile_vector) *)(sums + (i * V + j) * WB_TILE_LANES) = sum[i][j];                                    \
  }
#if WB_TILE_WIDE == 4
WB_TILE(2) WB_TILE(4)
#else
WB_TILE(1) WB_TILE(2)
#endif
#undef WB_TILE

/* Columns of the panel in which the last `left` begin: all of a tile's, or half of them. */
static inline int64_t WB_(panel)(int64_t left) { return left > WB_PANEL / 2 ? WB_PANEL : WB_PANEL / 2; }

/* Adds terms to the rows that begin at x + begin[i], of which `left` are left: the last again in place of others. */
static inline void WB_(tile)(const wb_terms *terms, int64_t width, const WB_T *x, const int64_t *begin, int64_t left,
                             const WB_T *w, WB_T *sums) {
  const WB_T *row[WB_TILE_ROWS];
  if (terms->times == 0 || terms->n == 0) return;
  for (int64_t j = 0; j < WB_TILE_ROWS; ++j) row[j] = x + begin[wb_smaller(j, left - 1)];
#if WB_TILE_WIDE == 4
  if (width == WB_PANEL) WB_(tile_4)(terms, row, w, sums);
  else WB_(tile_2)(terms, row, w, sums);
#else
  if (width == WB_PANEL) WB_(tile_2)(terms, row, w, sums);
  else WB_(tile_1)(terms, row, w, sums);
#endif
}

/* Whether some elements are finite. */
static inline int WB_(is_finite)(const WB_T *x, int64_t n) {
  int finite = 1;
  for (int64_t i = 0; i < n; ++i) finite &= x[i] - x[i] == 0;
  return finite;
}

/* to[j][i] = from[row[i]][j], for i < m and j < n; without a list of rows all are in order. In squares of four by
   four, then what is left. So many rows of `to` are written at a time that they stay in the nearest cache. */
WB_APART static void WB_(turn)(int64_t m, int64_t n, const WB_T *restrict from, int64_t apart, const int64_t *row,
                               WB_T *restrict to, int64_t width) {
  const int64_t rows = m / 4 * 4, columns = n / 4 * 4;
  for (int64_t block = 0; block < columns; block += 64)
    for (int64_t i = 0; i < rows; i += 4) {
      const WB_T *restrict const of[4] = {from + (row ? row[i] : i) * apart, from + (row ? row[i + 1] : i + 1) * apart,
                                          from + (row ? row[i + 2] : i + 2) * apart, from + (row ? row[i + 3] : i + 3) * apart};
      for (int64_t j = block; j < wb_smaller(columns, block + 64); j += 4) {
        WB_(four) *const into[4] = {(WB_(four) *)(to + j * width + i), (WB_(four) *)(to + (j + 1) * width + i),
                                    (WB_(four) *)(to + (j + 2) * width + i), (WB_(four) *)(to + (j + 3) * width + i)};
        const WB_(four) a = *(const WB_(four) *)(of[0] + j), b = *(const WB_(four) *)(of[1] + j);
        const WB_(four) e = *(const WB_(four) *)(of[2] + j), f = *(const WB_(four) *)(of[3] + j);
        const WB_(four) ae = WB_MIX(a, e, 0, 4, 1, 5), bf = WB_MIX(b, f, 0, 4, 1, 5);
        const WB_(four) ae2 = WB_MIX(a, e, 2, 6, 3, 7), bf2 = WB_MIX(b, f, 2, 6, 3, 7);
        *into[0] = WB_MIX(ae, bf, 0, 4, 1, 5), *into[1] = WB_MIX(ae, bf, 2, 6, 3, 7);
        *into[2] = WB_MIX(ae2, bf2, 0, 4, 1, 5), *into[3] = WB_MIX(ae2, bf2, 2, 6, 3, 7);
      }
    }
  for (int64_t j = 0; j < n; ++j)
    for (int64_t i = j < columns ? rows : 0; i < m; ++i) to[j * width + i] = from[(row ? row[i] : i) * apart + j];
}

/* How many of the images go through the tiles together, when one has few places. */
static inline int64_t WB_(together)(int64_t images, int64_t places) {
  return wb_larger(1, wb_smaller(images, WB_TILE_PLACES / places));
}

/* The sizes of scratch memory end at multiples of 64 elements. */
static inline int64_t WB_(rounded)(int64_t n) { return (n + 63) / 64 * 64; }
static inline int64_t WB_(integers)(int64_t n) { return WB_(rounded)(n * 8 / (int64_t)sizeof(WB_T)); }

/* --- results, or images from results ---------------------------------------------------------------- */

/* Filters as panels [group, panel, element, column]; a panel is as wide as whole vectors. Notes which are finite. */
static int WB_(tiled_filters)(wb_call *c, int64_t begin, int64_t end) {
  const WB_(conv_job) *const job = (const WB_(conv_job) *)c->value[0];
  const wb_conv *const v = job->v;
  const int adjoint = job->x == NULL;
  const int64_t each = v->channels / v->groups, features = v->features / v->groups, taps = wb_volume(v->filter);
  const int64_t many = adjoint ? each : features, few = adjoint ? features : each, panels = (many + WB_PANEL - 1) / WB_PANEL;
  const int64_t some = wb_larger(1, 256 / taps); /* of the few at a time, so that what is turned is looked at in the cache */
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t group = unit / panels, first = unit % panels * WB_PANEL;
    const int64_t width = WB_(panel)(many - first), columns = wb_smaller(many - first, width);
    WB_T *to = job->scratch + (group * job->block + first) * few * taps;
    const WB_T *const w = job->w + group * features * each * taps;
    int finite = 1;
    for (int64_t k = 0; k < few; k += some, to += some * taps * width) {
      const int64_t n = wb_smaller(some, few - k);
      if (columns < width) memset(to, 0, sizeof(WB_T) * (size_t)(n * taps * width));
      if (!adjoint) WB_(turn)(columns, n * taps, w + (first * few + k) * taps, few * taps, NULL, to, width);
      else
        for (int64_t f = 0; f < n; ++f)
          for (int64_t t = 0; t < taps; ++t)
            WB_(conv_copy)(to + (f * taps + t) * width, w + ((k + f) * each + first) * taps + t, columns, taps);
      finite &= WB_(is_finite)(to, n * taps * width);
    }
    job->finite[unit] = finite;
  }
  return WB_OK;
}

/* Lists the rows of a unit, which are places of some images in lines first[0] <= line < last[0], first[1] <= q < last[1]:
   where they begin in planes that are `apart`, for each place which row is its, and for each tile what it meets. */
WB_APART static void WB_(rows_of)(const wb_conv *v, const WB_(planes) *p, int64_t images, int64_t apart, const int64_t *first,
                                  const int64_t *last, int64_t *begin, int64_t *row_of, wb_box *box) {
  const int64_t lines = last[0] - first[0], wide = last[1] - first[1];
  int64_t row = 0;
  for (int64_t from = first[1], until; from < last[1]; from = until) {
    wb_box meets;
    WB_(taps_at)(v, p, 2, from, &meets.low[2], &meets.high[2]);
    for (until = from + 1; until < last[1]; ++until) {
      int64_t low, high;
      WB_(taps_at)(v, p, 2, until, &low, &high);
      if (low != meets.low[2] || high != meets.high[2]) break;
    }
    for (int whole = 1; whole >= 0; --whole) /* lines that meet all elements, then the others */
      for (int64_t line = first[0]; line < last[0]; ++line) {
        const int64_t d = line / p->lines[1], h = line % p->lines[1];
        WB_(taps_at)(v, p, 0, d, &meets.low[0], &meets.high[0]);
        WB_(taps_at)(v, p, 1, h, &meets.low[1], &meets.high[1]);
        if ((meets.high[0] - meets.low[0] == v->filter[0] && meets.high[1] - meets.low[1] == v->filter[1]) != whole) continue;
        for (int64_t image = 0; image < images; ++image)
          for (int64_t q = from; q < until; ++q, ++row) {
            wb_box *const of = box + row / WB_TILE_ROWS;
            if (row % WB_TILE_ROWS == 0) *of = (wb_box){{0}, {0}};
            wb_widen(of, &meets);
            begin[row] = image * apart + (d * p->step[0] * p->into[1] + h * p->step[1]) * p->row + q;
            row_of[(image * lines + line - first[0]) * wide + q - first[1]] = row;
          }
      }
  }
}

/* Lists the terms of some channels for the elements in a box; returns how many those of one channel are. */
WB_APART static int64_t WB_(terms_of)(const wb_conv *v, const WB_(planes) *p, int adjoint, const wb_box *box, int64_t channels,
                                      const int64_t *tap, int64_t *at, int64_t *in) {
  const int turned = !v->flip != !adjoint;
  int64_t n = 0;
  for (int64_t ch = 0; ch < channels; ++ch)
    for (int64_t i = box->low[0]; i < box->high[0]; ++i)
      for (int64_t j = box->low[1]; j < box->high[1]; ++j)
        for (int64_t q = box->low[2]; q < box->high[2]; ++q, ++n) {
          const int64_t a = turned ? v->filter[0] - 1 - i : i, b = turned ? v->filter[1] - 1 - j : j;
          const int64_t t = (a * v->filter[1] + b) * v->filter[2] + (turned ? v->filter[2] - 1 - q : q);
          at[n] = ch * p->plane + tap[t];
          in[n] = ch * p->taps + t;
        }
  return n / channels;
}

/* Of how many channels a list has the terms. */
static inline int64_t WB_(listed)(int64_t taps) { return wb_larger(1, WB_TILE_LIST / taps); }

/* All sums of a panel for the rows of a unit; `list` has room for two lists. */
WB_APART static void WB_(panel_sums)(const wb_conv *v, const WB_(planes) *p, int adjoint, int64_t few, int64_t rows, int64_t width,
                                     int finite, const int64_t *tap, const int64_t *begin, const wb_box *box, int64_t *list,
                                     const WB_T *planes, const WB_T *w, WB_T *sums) {
  const wb_box whole = {{0}, {v->filter[0], v->filter[1], v->filter[2]}};
  const int64_t some = WB_(listed)(p->taps), deep = wb_larger(some, WB_TILE_DEEP / p->taps / some * some);
  int64_t *const in = list + some * p->taps;
  for (int64_t ch = 0; ch < few; ch += deep, planes += deep * p->plane, w += deep * p->taps * width) {
    const int64_t channels = wb_smaller(deep, few - ch), times = channels / some, rest = channels % some;
    const wb_box *listed = NULL;
    int64_t n = 0;
    for (int64_t i = 0; i < rows; i += WB_TILE_ROWS) {
      const wb_box *const meets = finite ? box + i / WB_TILE_ROWS : &whole;
      if (!listed || !wb_is_same(listed, meets)) n = WB_(terms_of)(v, p, adjoint, meets, some, tap, list, in);
      listed = meets;
      const wb_terms most = {times, n * some, some * p->plane, some * p->taps, list, in};
      const wb_terms last = {rest > 0, n * rest, 0, 0, list, in};
      WB_(tile)(&most, width, planes, begin + i, rows - i, w, sums + i * width);
      WB_(tile)(&last, width, planes + times * some * p->plane, begin + i, rows - i, w + times * some * p->taps * width, sums + i * width);
    }
  }
}

static int WB_(tiled_part)(wb_call *c, int64_t begin, int64_t end) {
  const WB_(conv_job) *const job = (const WB_(conv_job) *)c->value[0];
  const wb_conv *const v = job->v;
  const int adjoint = job->x == NULL;
  const WB_(planes) p = WB_(planes_of)(v, adjoint, 0);
  const int64_t many = (adjoint ? v->channels : v->features) / v->groups, few = (adjoint ? v->features : v->channels) / v->groups;
  const int64_t *const s = adjoint ? v->y : v->x, places = wb_volume(p.lines), all = few * p.plane, room = job->chunks * job->tile * job->wide;
  const int64_t panels = (many + WB_PANEL - 1) / WB_PANEL, across = (p.lines[2] + job->wide - 1) / job->wide;
  const WB_T *const from = adjoint ? job->y : job->x;
  /* The first number says which images the planes hold, which the next range may want too. */
  int64_t *const filled = (int64_t *)(job->scratch + job->blocks + c->thread * job->each);
  WB_T *const planes = (WB_T *)filled + 64, *const sums = planes + WB_(rounded)(job->chunks * all);
  int64_t *const tap = (int64_t *)(sums + (room + WB_TILE_ROWS) * WB_PANEL), *const row = tap + p.taps, *const row_of = row + room;
  wb_box *const box = (wb_box *)(row_of + room);
  int64_t *const list = (int64_t *)(box + room / WB_TILE_ROWS + 1);
  WB_(taps_of)(v, &p, adjoint, 1, tap);
  if (*filled < 0) memset(planes, 0, sizeof(WB_T) * (size_t)(job->chunks * all)); /* the zeros around images stay */
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t slice = unit % job->slices, tile = unit / job->slices % job->tiles, wanted = unit / job->slices / job->tiles;
    const int64_t image = wanted / v->groups * job->chunks, group = wanted % v->groups, images = wb_smaller(job->chunks, v->batch - image);
    if (*filled != wanted)
      for (int64_t i = 0; i < images; ++i)
        WB_(fill_planes)(&p, from + (image + i) * s[0] + group * few * s[1], s + 1, few, planes + i * all);
    *filled = wanted;
    const int64_t first[2] = {tile / across * job->tile, tile % across * job->wide};
    const int64_t last[2] = {wb_smaller(first[0] + job->tile, p.lines[0] * p.lines[1]), wb_smaller(first[1] + job->wide, p.lines[2])};
    const int64_t n = (last[0] - first[0]) * (last[1] - first[1]);
    WB_(rows_of)(v, &p, images, all, first, last, row, row_of, box);
    WB_T *const out = job->out + (image * v->groups + group) * many * places + first[0] * p.lines[2] + first[1];
    for (int64_t number = panels * slice / job->slices; number < panels * (slice + 1) / job->slices; ++number) {
      const int64_t panel = number * WB_PANEL, width = WB_(panel)(many - panel);
      const WB_T *const w = job->scratch + (group * job->block + panel) * few * p.taps;
      memset(sums, 0, sizeof(WB_T) * (size_t)(images * n * width));
      WB_(panel_sums)(v, &p, adjoint, few, images * n, width, job->finite[group * panels + number], tap, row, box, list, planes, w, sums);
      for (int64_t i = 0; i < images; ++i)
        WB_(turn)(n, wb_smaller(width, many - panel), sums, width, row_of + i * n, out + (i * v->groups * many + panel) * places, places);
    }
  }
  return WB_OK;
}

/* Equal parts of n that are at most so large. */
static inline int64_t WB_(equal)(int64_t n, int64_t most) {
  const int64_t parts = (n + most - 1) / most;
  return parts > 0 ? (n + parts - 1) / parts : 1;
}

/* Results from x, or images from y where x is NULL. */
WB_APART static int64_t WB_(tiled)(wb_call *c, const wb_conv *v, const WB_T *x, const WB_T *y, const WB_T *w, WB_T *out, void *memory) {
  WB_(conv_job) job = {.v = v, .x = x, .y = y, .out = out};
  const WB_(planes) p = WB_(planes_of)(v, x == NULL, 0);
  const int64_t features = v->features / v->groups, each = v->channels / v->groups, lines = p.lines[0] * p.lines[1];
  const int64_t many = x ? features : each, few = x ? each : features, rows = few * p.taps, all = v->features * each * p.taps;
  const int64_t panels = (many + WB_PANEL - 1) / WB_PANEL;
  job.wide = WB_(equal)(p.lines[2], WB_TILE_PLACES); /* a unit is some lines of an image, or a part of one, or some images */
  job.tile = WB_(equal)(lines, wb_larger(1, WB_TILE_PLACES / job.wide));
  job.tiles = (lines + job.tile - 1) / job.tile * ((p.lines[2] + job.wide - 1) / job.wide);
  job.chunks = job.tiles > 1 ? 1 : WB_(equal)(v->batch, wb_larger(1, WB_TILE_PLACES / (lines * p.lines[2])));
  const int64_t room = job.chunks * job.tile * job.wide;
  int64_t units = (v->batch + job.chunks - 1) / job.chunks * v->groups * job.tiles;
  job.slices = c->threads == 1 ? 1 : wb_larger(1, wb_smaller(panels, (4 * c->threads + units - 1) / units));
  units *= job.slices; /* what is computed does not depend on how panels are shared out */
  job.block = (many + WB_PANEL / 2 - 1) / (WB_PANEL / 2) * (WB_PANEL / 2); /* columns of filters, and their elements */
  job.blocks = WB_(rounded)(v->groups * job.block * rows) + WB_(integers)(v->groups * panels);
  job.each = 64 + WB_(rounded)(job.chunks * few * p.plane) + (room + WB_TILE_ROWS) * WB_PANEL;
  job.each += WB_(integers)(p.taps + 2 * room + 6 * (room / WB_TILE_ROWS + 1) + 2 * WB_(listed)(p.taps) * p.taps);
  if (!memory) return (int64_t)sizeof(WB_T) * (job.blocks + c->threads * job.each + all + 64);
  job.scratch = (WB_T *)(((uintptr_t)memory + 63) / 64 * 64);
  job.finite = (int64_t *)(job.scratch + WB_(rounded)(v->groups * job.block * rows));
  job.w = WB_(conv_filters)(v, w, job.scratch + job.blocks + c->threads * job.each);
  const int rc = WB_(conv_share)(c, &job, WB_(tiled_filters), v->groups * panels, (double)(16 * rows * WB_PANEL));
  if (rc) return rc;
  /* Zeros around results would make NaN of an infinite filter where it meets nothing. */
  if (!x) for (int64_t k = 0; k < v->groups * panels; ++k) if (!job.finite[k]) return WB_(conv_images)(c, v, y, w, out, memory);
  for (int64_t k = 0; k < c->threads; ++k) *(int64_t *)(job.scratch + job.blocks + k * job.each) = -1;
  return WB_(conv_share)(c, &job, WB_(tiled_part), units, (double)rows * (double)many * (double)(room / job.slices));
}

/* --- filters from images and results ------------------------------------------------------------------ */

/* Lists the places first <= i < last of an image at which elements t0 <= t <= t1 of the filters meet it, or all. */
WB_APART static int64_t WB_(places_of)(const wb_conv *v, const WB_(planes) *p, int64_t t0, int64_t t1, int finite, int64_t first,
                                       int64_t last, int64_t *at, int64_t *in) {
  wb_box box = {{0}, {0}};
  for (int64_t t = t0; t <= t1; ++t) {
    const int64_t of[3] = {t / v->filter[2] / v->filter[1], t / v->filter[2] % v->filter[1], t % v->filter[2]};
    wb_box one;
    for (int k = 0; k < 3; ++k) WB_(places_at)(v, p, k, v->flip ? v->filter[k] - 1 - of[k] : of[k], &one.low[k], &one.high[k]);
    wb_widen(&box, &one);
  }
  if (!finite) box = (wb_box){{0}, {p->lines[0], p->lines[1], p->lines[2]}};
  int64_t n = 0;
  for (int64_t line = first / p->lines[2]; line * p->lines[2] < last; ++line) {
    const int64_t d = line / p->lines[1], h = line % p->lines[1], begin = line * p->lines[2];
    if (d < box.low[0] || d >= box.high[0] || h < box.low[1] || h >= box.high[1]) continue;
    const int64_t low = wb_larger(box.low[2], first - begin), high = wb_smaller(box.high[2], last - begin);
    const int64_t base = (d * p->step[0] * p->into[1] + h * p->step[1]) * p->row;
    for (int64_t q = low; q < high; ++q, ++n) at[n] = base + q, in[n] = begin + q - first;
  }
  return n;
}

static int WB_(tiled_weights_part)(wb_call *c, int64_t begin, int64_t end) {
  const WB_(conv_job) *const job = (const WB_(conv_job) *)c->value[0];
  const wb_conv *const v = job->v;
  const WB_(planes) p = WB_(planes_of)(v, 0, 0);
  const int64_t each = v->channels / v->groups, features = v->features / v->groups, places = wb_volume(v->place);
  const int64_t deep = job->block * p.taps + WB_TILE_ROWS, together = WB_(together)((v->batch + job->chunks - 1) / job->chunks, places);
  const int64_t all = job->block * p.plane; /* of an image */
  WB_T *const planes = job->scratch + c->thread * job->each, *const copy = planes + WB_(rounded)(together * all);
  WB_T *const turned = copy + WB_(rounded)(features * places);
  int64_t *const tap = (int64_t *)(turned + together * job->tile * WB_PANEL), *const row = tap + p.taps;
  int64_t *const at = row + job->block * p.taps, *const in = at + job->tile;
  WB_(taps_of)(v, &p, 0, 1, tap);
  const int are = WB_(are_planes)(&p, v->x + 1, each);
  if (!are) memset(planes, 0, sizeof(WB_T) * (size_t)(together * all));
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t chunk = unit % job->chunks, block = unit / job->chunks % job->blocks, group = unit / job->chunks / job->blocks;
    const int64_t channel = block * job->block, channels = wb_smaller(job->block, each - channel);
    const int64_t rows = channels * p.taps, until = v->batch * (chunk + 1) / job->chunks;
    /* Rows of one element of the filters stand together, for they meet an image at the same places. */
    for (int64_t i = 0; i < rows; ++i) row[i] = tap[i / channels] + i % channels * p.plane;
    WB_T *const sums = job->scratch + c->threads * job->each + unit * job->tiles;
    for (int64_t panel = 0; panel < features; panel += WB_PANEL)
      memset(sums + panel * deep, 0, sizeof(WB_T) * (size_t)(rows * WB_(panel)(features - panel)));
    for (int64_t image = v->batch * chunk / job->chunks; image < until; image += together) {
      const int64_t images = wb_smaller(together, until - image);
      const WB_T *const x = job->x + image * v->x[0] + (group * each + channel) * v->x[1], *y = NULL;
      for (int64_t i = 0; i < images && !are; ++i) WB_(fill_planes)(&p, x + i * v->x[0], v->x + 1, channels, planes + i * all);
      for (int64_t panel = 0; panel < features; panel += WB_PANEL) {
        const int64_t width = WB_(panel)(features - panel), columns = wb_smaller(width, features - panel);
        for (int64_t first = 0, apart = 0; first < places; first += job->tile) {
          const int64_t n = wb_smaller(job->tile, places - first);
          if (columns < width) memset(turned, 0, sizeof(WB_T) * (size_t)(images * n * width));
          for (int64_t i = 0; i < images; ++i) {
            if (first == 0) y = WB_(conv_rows)(v, job->y, image + i, group, copy, &apart);
            WB_(turn)(columns, n, y + panel * apart + first, apart, NULL, turned + i * n * width, width);
          }
          const int finite = WB_(is_finite)(turned, images * n * width);
          wb_terms terms = {images, 0, are ? v->x[0] : all, n, at, in};
          for (int64_t i = 0, t0 = -1, t1 = -1; i < rows; i += WB_TILE_ROWS) {
            const int64_t from = i / channels, to = wb_smaller(i + WB_TILE_ROWS - 1, rows - 1) / channels;
            if (from != t0 || to != t1) terms.n = WB_(places_of)(v, &p, from, to, finite, first, first + n, at, in);
            t0 = from, t1 = to;
            WB_(tile)(&terms, width, are ? x : planes, row + i, rows - i, turned, sums + panel * deep + i * width);
          }
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
  int64_t *const row_of = (int64_t *)(job->scratch + c->thread * job->each);
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t channel = unit % job->blocks * job->block, channels = wb_smaller(job->block, each - channel), rows = channels * taps;
    for (int64_t i = 0; i < rows; ++i) row_of[i] = i % taps * channels + i / taps;
    for (int64_t panel = 0; panel < features; panel += WB_PANEL) {
      const int64_t width = WB_(panel)(features - panel), deep = job->block * taps + WB_TILE_ROWS;
      WB_T *const sums = job->scratch + c->threads * job->each + unit * job->chunks * job->tiles + panel * deep;
      for (int64_t chunk = 1; chunk < job->chunks; ++chunk)
        for (int64_t i = 0; i < rows * width; ++i) sums[i] += sums[chunk * job->tiles + i];
      WB_T *const out = job->out + ((unit / job->blocks * features + panel) * each + channel) * taps;
      WB_(turn)(rows, wb_smaller(width, features - panel), sums, width, row_of, out, each * taps);
    }
  }
  return WB_OK;
}

WB_APART static int64_t WB_(tiled_gradient)(wb_call *c, const wb_conv *v, const WB_T *x, const WB_T *y, WB_T *w, void *memory) {
  WB_(conv_job) job = {.v = v, .x = x, .y = y, .out = w};
  const WB_(planes) p = WB_(planes_of)(v, 0, 0);
  const int64_t each = v->channels / v->groups, features = v->features / v->groups, places = wb_volume(v->place);
  job.block = WB_(equal)(each, wb_larger(1, 768 / p.taps));
  job.blocks = (each + job.block - 1) / job.block;
  job.tile = WB_(equal)(places, WB_TILE_PLACES);
  job.tiles = WB_(rounded)((job.block * p.taps + WB_TILE_ROWS) * (features + WB_PANEL)); /* sums of a unit */
  const int64_t units = v->groups * job.blocks;
  job.chunks = wb_smaller(v->batch, wb_larger(1, wb_smaller(WB_CONV_UNITS / units, (8 << 20) / (units * job.tiles))));
  const int64_t together = WB_(together)((v->batch + job.chunks - 1) / job.chunks, places);
  job.each = WB_(rounded)(together * job.block * p.plane) + WB_(rounded)(features * places) + together * job.tile * WB_PANEL;
  job.each += WB_(integers)(p.taps + job.block * p.taps + 2 * job.tile);
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

WB_APART static int64_t WB_(tiled_images)(wb_call *c, const wb_conv *v, const WB_T *y, const WB_T *w, WB_T *x, void *memory) {
  const int near = v->stride[0] == 1 && v->stride[1] == 1 && v->stride[2] == 1;
  if (!near || !WB_(is_tiled)(v, v->channels, v->features, wb_volume(v->image))) return WB_(conv_images)(c, v, y, w, x, memory);
  if (!memory) return wb_larger(WB_(tiled)(c, v, NULL, y, w, x, NULL), WB_(conv_images)(c, v, y, w, x, NULL));
  return WB_(tiled)(c, v, NULL, y, w, x, memory);
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
