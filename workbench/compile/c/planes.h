/* Planes: images with their zeros, so that filters meet no place outside.
 *
 * Elements that a step along the last axis would skip are sorted apart, so that those which one element of a
 * filter meets along a line follow each other. For the adjoint by the images, planes are made of results, spread
 * so that a step lies between two.
 *
 * Included after conv.h, once for each number of bits.
 */
#if WB_BITS == 32 && !defined WB_PLANES_32
#define WB_PLANES_32
#define WB_HERE
#define WB_T float
#define WB_(name) wb_##name##_float32
#elif WB_BITS == 64 && !defined WB_PLANES_64
#define WB_PLANES_64
#define WB_HERE
#define WB_T double
#define WB_(name) wb_##name##_float64
#endif

#ifdef WB_HERE
/* How planes lie in memory, and where the elements of filters meet them. */
typedef struct {
  int64_t from[3], into[3], front[3], spread[3]; /* sizes of images and planes, zeros in front, steps between */
  int64_t step[3], lines[3];                     /* from result to result, and the sizes of results */
  int64_t wide, row, plane;                      /* elements from phase to phase, line to line, plane to plane */
  int64_t taps;                                  /* elements of the filters of one channel */
} WB_(planes);

/* For results (adjoint 0) and for images (1). */
WB_APART static WB_(planes) WB_(planes_of)(const wb_conv *v, int adjoint, int64_t slack) {
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
  p.wide = (p.into[2] + p.step[2] - 1) / p.step[2] + slack;
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

/* The elements low <= i < high of the filters, along an axis of planes, that meet the image at a place; not the
   zeros around it. */
static inline void WB_(taps_at)(const wb_conv *v, const WB_(planes) *p, int axis, int64_t place, int64_t *low, int64_t *high) {
  const int64_t front = p->front[axis] - place * p->step[axis], reach = (p->from[axis] - 1) * p->spread[axis] + 1;
  *low = wb_larger(0, wb_ceil_div(front, v->gap[axis]));
  *high = wb_smaller(v->filter[axis], wb_ceil_div(front + reach, v->gap[axis]));
}

/* The places low <= i < high along an axis at which element i of the filters meets the image. */
static inline void WB_(places_at)(const wb_conv *v, const WB_(planes) *p, int axis, int64_t i, int64_t *low, int64_t *high) {
  const int64_t front = p->front[axis] - i * v->gap[axis], reach = (p->from[axis] - 1) * p->spread[axis] + 1;
  *low = wb_larger(0, wb_ceil_div(front, p->step[axis]));
  *high = wb_smaller(p->lines[axis], wb_ceil_div(front + reach, p->step[axis]));
}

/* Whether images are planes as they lie in memory; s are the strides of their axes, channels first. */
WB_APART static int WB_(are_planes)(const WB_(planes) *p, const int64_t *s, int64_t channels) {
  for (int k = 0; k < 3; ++k)
    if (p->front[k] != 0 || p->spread[k] != 1 || p->into[k] != p->from[k]) return 0;
  return p->step[2] == 1 && p->row == p->from[2] && wb_is_packed(p->from, s + 1) && (channels == 1 || s[0] == p->plane);
}

/* Copies images to planes; s are the strides of their axes, channels first. */
WB_APART static void WB_(fill_planes)(const WB_(planes) *p, const WB_T *x, const int64_t *s, int64_t channels, WB_T *planes) {
  for (int64_t ch = 0; ch < channels; ++ch)
    for (int64_t i = 0; i < p->from[0]; ++i)
      for (int64_t j = 0; j < p->from[1]; ++j) {
        const int64_t d = i * p->spread[0] + p->front[0], h = j * p->spread[1] + p->front[1];
        if (d < 0 || d >= p->into[0] || h < 0 || h >= p->into[1]) continue;
        const WB_T *const of = x + ch * s[0] + i * s[1] + j * s[2];
        WB_T *to = planes + ch * p->plane + (d * p->into[1] + h) * p->row;
        /* Element k of a phase is element q of the line, where it has one. */
        for (int64_t phase = 0; phase < p->step[2]; ++phase, to += p->wide) {
          const int64_t front = p->front[2] - phase, step = p->step[2], spread = p->spread[2];
          const int64_t low = wb_larger(wb_ceil_div(front, step), 0), room = wb_ceil_div(p->into[2] - phase, step);
          const int64_t high = wb_smaller(wb_ceil_div(p->from[2] + front, step), room);
          if (spread > 1)
            for (int64_t q = wb_larger(0, wb_ceil_div(-front, spread)); q < p->from[2] && q * spread + front < room; ++q)
              to[q * spread + front] = of[q * s[3]];
          else if (step == 1 && s[3] == 1 && low < high) WB_(conv_line)(to + low, of + low - front, high - low);
          else if (low < high) WB_(conv_copy)(to + low, of + (low * step - front) * s[3], high - low, step * s[3]);
        }
      }
}

/* Whether all filters are finite. */
WB_APART static int WB_(are_finite)(const wb_conv *v, const WB_T *w) {
  int finite = 1;
  const int64_t each = v->channels / v->groups, size = wb_volume(v->filter);
  if (wb_is_packed(v->filter, v->w + 2) && v->w[1] == size && v->w[0] == each * size) {
    for (int64_t i = 0; i < v->features * each * size; ++i) finite &= w[i] - w[i] == 0;
    return finite;
  }
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

#undef WB_HERE
#undef WB_T
#undef WB_
#endif
