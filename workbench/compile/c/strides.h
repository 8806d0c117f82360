/* Copies of arrays that are not C-contiguous.
 *
 * Most programs take C-contiguous arrays; a transposed or strided argument is copied at each call,
 * into memory that is kept for the next, unless a program for its layout reads it in place
 * (variants.py). Two axes matter: the last one of the copy, along which it is written, and the one
 * along which the original lies closest in memory. Square tiles of these two stay in the cache, so
 * that every line is fetched once, and threads share large copies. Small and unaligned arrays are
 * left to NumPy.
 */
#define COPY_WORTH 65536 /* bytes of a range; smaller copies are NumPy's */
#define COPY_TILE 32     /* elements along both axes of a tile */

/* A copy from strided memory. Axis `near` and the last one make the tiles; `near` may be the last. */
typedef struct {
  char *to;
  const char *from;
  int ndim, near;
  npy_intp item, tiles;               /* bytes of an element; tiles along `near` */
  npy_intp shape[WB_MAX_DIMS];
  npy_intp into[WB_MAX_DIMS];         /* strides in bytes */
  npy_intp stride[WB_MAX_DIMS];
} Copy;

/* Whether the original's elements lie closer along another axis than along the last one. */
static int lies_across(const Copy *copy) {
  return llabs(copy->stride[copy->near]) < llabs(copy->stride[copy->ndim - 1]);
}

/* Where the original's lines run across the copy's, each is read at once into a tile of the stack:
   lines that lie a power of two apart drive each other out of the cache. */
#define COPY_ROWS(T)                                                              \
  if (across) {                                                                   \
    T tile[COPY_TILE][COPY_TILE];                                                 \
    for (npy_intp k = 0; k < columns; k++)                                        \
      for (npy_intp i = 0; i < rows; i++) tile[i][k] = *(const T *)(from + i * row + k * column); \
    for (npy_intp i = 0; i < rows; i++)                                           \
      memcpy(to + i * to_row, tile[i], (size_t)columns * sizeof(T));              \
  } else                                                                          \
    for (npy_intp i = 0; i < rows; i++)                                           \
      for (npy_intp k = 0; k < columns; k++)                                      \
        *(T *)(to + i * to_row + k * (npy_intp)sizeof(T)) = *(const T *)(from + i * row + k * column);

/* One tile: `rows` along `near`, `columns` along the last axis. */
static void copy_tile(const Copy *copy, char *to, const char *from, npy_intp rows, npy_intp columns) {
  const npy_intp to_row = copy->into[copy->near], row = copy->stride[copy->near];
  const npy_intp column = copy->stride[copy->ndim - 1], item = copy->item;
  const int across = lies_across(copy);
  if (column == item) {
    for (npy_intp i = 0; i < rows; i++)
      memcpy(to + i * to_row, from + i * row, (size_t)(columns * item));
    return;
  }
  switch (item) {
    case 1: COPY_ROWS(uint8_t) return;
    case 2: COPY_ROWS(uint16_t) return;
    case 4: COPY_ROWS(uint32_t) return;
    case 8: COPY_ROWS(uint64_t) return;
    default:
      for (npy_intp i = 0; i < rows; i++)
        for (npy_intp k = 0; k < columns; k++)
          memcpy(to + i * to_row + k * item, from + i * row + k * column, (size_t)item);
  }
}

/* Strips of tiles: COPY_TILE elements along `near`, all of the last axis, one of every other. */
static int copy_strips(wb_call *own, int64_t begin, int64_t end) {
  const Copy *copy = own->owner;
  const int last = copy->ndim - 1;
  const npy_intp width = lies_across(copy) ? COPY_TILE : copy->shape[last];
  for (int64_t strip = begin; strip < end; strip++) {
    npy_intp rest = strip / copy->tiles, first = strip % copy->tiles * COPY_TILE;
    char *to = copy->to + first * copy->into[copy->near];
    const char *from = copy->from + first * copy->stride[copy->near];
    for (int d = last - 1; d >= 0; d--) {
      if (d == copy->near) continue;
      npy_intp i = rest % copy->shape[d];
      rest /= copy->shape[d];
      to += i * copy->into[d];
      from += i * copy->stride[d];
    }
    npy_intp rows = copy->shape[copy->near] - first;
    if (rows > COPY_TILE) rows = COPY_TILE;
    for (npy_intp k = 0; k < copy->shape[last]; k += width) {
      npy_intp columns = copy->shape[last] - k < width ? copy->shape[last] - k : width;
      copy_tile(copy, to + k * copy->into[last], from + k * copy->stride[last], rows, columns);
    }
  }
  return WB_OK;
}

static int look_nowhere(wb_call *call, int64_t now) {
  (void)call, (void)now;
  return WB_OK;
}

/* Copies `from` into `to`, which is C-contiguous and of the same form. -1 with an exception. */
static int copy_strided(PyArrayObject *to, PyArrayObject *from, int64_t threads) {
  const int ndim = PyArray_NDIM(from), last = ndim - 1;
  if (ndim < 2 || PyArray_NBYTES(from) < COPY_WORTH || !PyArray_ISALIGNED(from))
    return PyArray_CopyInto(to, from);
  Copy copy = {PyArray_BYTES(to), PyArray_BYTES(from), ndim, last - 1, PyArray_ITEMSIZE(from), 0,
               {0}, {0}, {0}};
  npy_intp strips = 1;
  for (int d = 0; d < ndim; d++) {
    copy.shape[d] = PyArray_DIM(from, d);
    copy.into[d] = PyArray_STRIDE(to, d);
    copy.stride[d] = PyArray_STRIDE(from, d);
    npy_intp size = copy.stride[d] < 0 ? -copy.stride[d] : copy.stride[d];
    npy_intp least = copy.stride[copy.near] < 0 ? -copy.stride[copy.near] : copy.stride[copy.near];
    if (d < last && size < least && copy.shape[d] > 1) copy.near = d;
  }
  for (int d = 0; d < last; d++)
    strips *= d == copy.near ? (copy.shape[d] + COPY_TILE - 1) / COPY_TILE : copy.shape[d];
  copy.tiles = (copy.shape[copy.near] + COPY_TILE - 1) / COPY_TILE;
  npy_intp bytes = COPY_TILE * copy.shape[last] * copy.item;
  wb_call call = {.owner = &copy, .threads = threads};
  return pool_split(&call, copy_strips, strips, COPY_WORTH / bytes + 1, look_nowhere);
}
