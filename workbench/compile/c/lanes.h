/* Loops that gather: sums, extremes and their places, as `statements.py` writes them. */
#ifndef WB_REDUCTIONS
#define WB_REDUCTIONS

/* What a loop gathers is a list of (value, type, name, start, how p and q are joined), or of
   (place, type, name, start, whether q is better than p, name of the place). Each has several partial
   results, its lanes, joined in a fixed order: so the result has one value, and is computed in vectors.
   The body, written once, gathers into what has the name: a lane, or the whole. */
#define WB_JOINED(a, b) WB_JOINED_(a, b)
#define WB_JOINED_(a, b) a##b
#define WB_START(all) WB_JOINED(WB_START_1 all, _END)
#define WB_START_1(kind, ...) WB_START_##kind(__VA_ARGS__) WB_START_2
#define WB_START_2(kind, ...) WB_START_##kind(__VA_ARGS__) WB_START_1
#define WB_START_1_END
#define WB_START_2_END
#define WB_TAKE(all) WB_JOINED(WB_TAKE_1 all, _END)
#define WB_TAKE_1(kind, ...) WB_TAKE_##kind(__VA_ARGS__) WB_TAKE_2
#define WB_TAKE_2(kind, ...) WB_TAKE_##kind(__VA_ARGS__) WB_TAKE_1
#define WB_TAKE_1_END
#define WB_TAKE_2_END
#define WB_GIVE(all) WB_JOINED(WB_GIVE_1 all, _END)
#define WB_GIVE_1(kind, ...) WB_GIVE_##kind(__VA_ARGS__) WB_GIVE_2
#define WB_GIVE_2(kind, ...) WB_GIVE_##kind(__VA_ARGS__) WB_GIVE_1
#define WB_GIVE_1_END
#define WB_GIVE_2_END
#define WB_JOIN(all) WB_JOINED(WB_JOIN_1 all, _END)
#define WB_JOIN_1(kind, ...) WB_JOIN_##kind(__VA_ARGS__) WB_JOIN_2
#define WB_JOIN_2(kind, ...) WB_JOIN_##kind(__VA_ARGS__) WB_JOIN_1
#define WB_JOIN_1_END
#define WB_JOIN_2_END

#define WB_START_value(T, a, start, joined) T a##_lane[lanes]; for (int l = 0; l < lanes; ++l) a##_lane[l] = start;
#define WB_TAKE_value(T, a, start, joined) T a = a##_lane[l];
#define WB_GIVE_value(T, a, start, joined) a##_lane[l] = a;
#define WB_JOIN_value(T, a, start, joined)                                                                  \
  if (lanes == 1) a = a##_lane[0];                                                                          \
  else {                                                                                                    \
    if (lanes > 16) WB_HALVE(T, a, 16, joined)                                                              \
    WB_HALVE(T, a, 8, joined)                                                                               \
    WB_HALVE(T, a, 4, joined)                                                                               \
    WB_HALVE(T, a, 2, joined)                                                                               \
    WB_HALVE(T, a, 1, joined)                                                                               \
    { const __typeof__(a) p = a; const T q = a##_lane[0]; a = joined; }                                     \
  }
#define WB_HALVE(T, a, half, joined)                                                                        \
  for (int l = 0; l < half; ++l) { const T p = a##_lane[l]; const T q = a##_lane[l + half]; a##_lane[l] = joined; }

/* Of equals the one that comes first. */
#define WB_START_place(T, a, start, better, at) WB_START_value(T, a, start, ) int64_t at##_lane[lanes] = {0};
#define WB_TAKE_place(T, a, start, better, at) T a = a##_lane[l]; int64_t at = at##_lane[l];
#define WB_GIVE_place(T, a, start, better, at) a##_lane[l] = a; at##_lane[l] = at;
#define WB_JOIN_place(T, a, start, better, at)                                                              \
  for (int l = 0; l < lanes; ++l) {                                                                         \
    int more; int less;                                                                                     \
    { const T p = a; const T q = a##_lane[l]; more = better; }                                              \
    { const T p = a##_lane[l]; const T q = a; less = better; }                                              \
    if (more || (!less && at##_lane[l] < at)) { a = a##_lane[l]; at = at##_lane[l]; }                       \
  }

#define WB_ORDER_any_order WB_INDEPENDENT
#define WB_ORDER_in_order
#define WB_CHUNK 8192 /* terms that are summed in single precision before they are added in double */

/* Blocks of as many elements as there are lanes: the lanes stay in registers. */
#define WB_FULL(order, i, first, stop, all, ...)                                                            \
  for (int64_t i##_block = first; i##_block < stop; i##_block += lanes)                                     \
    WB_ORDER_##order for (int l = 0; l < lanes; ++l) {                                                      \
      const int64_t i = i##_block + l; WB_TAKE(all) __VA_ARGS__ WB_GIVE(all)                                \
    }
/* The last block may have fewer: the body is compiled once, but the lanes are in memory. */
#define WB_PARTIAL(order, i, first, stop, all, ...)                                                         \
  for (int64_t i##_block = first; i##_block < stop; i##_block += lanes) {                                   \
    const int64_t width = stop - i##_block < lanes ? stop - i##_block : lanes;                              \
    WB_ORDER_##order for (int64_t l = 0; l < width; ++l) {                                                  \
      const int64_t i = i##_block + l; WB_TAKE(all) __VA_ARGS__ WB_GIVE(all)                                \
    }                                                                                                       \
  }
#define WB_CHUNKS(blocks, order, i, size, all, ...)                                                         \
  for (int64_t i##_chunk = 0; i##_chunk < size; i##_chunk += WB_CHUNK) {                                    \
    const int64_t i##_stop = size - i##_chunk < WB_CHUNK ? size : i##_chunk + WB_CHUNK;                     \
    WB_START(all) blocks(order, i, i##_chunk, i##_stop, all, __VA_ARGS__) WB_JOIN(all)                      \
  }
#define WB_FEW(i, size, all, ...) {                                                                         \
    enum { lanes = 1, l = 0 };                                                                              \
    WB_START(all)                                                                                           \
    for (int64_t i = 0; i < size; ++i) { WB_TAKE(all) __VA_ARGS__ WB_GIVE(all) }                            \
    WB_JOIN(all)                                                                                            \
  }

/* A loop 0 <= i < size that gathers: full blocks, and what is left one by one. A short row has no use for lanes. */
#define WB_LANES(order, count, i, size, all, ...) {                                                         \
    enum { lanes = count };                                                                                 \
    const int64_t i##_end = (size) / lanes * lanes;                                                         \
    if (i##_end > 0) { WB_START(all) WB_FULL(order, i, 0, i##_end, all, __VA_ARGS__) WB_JOIN(all) }         \
    for (int64_t i = i##_end; i < (size); ++i) { __VA_ARGS__ }                                              \
  }
#define WB_LANES_IN_CHUNKS(order, count, i, size, all, ...) {                                               \
    enum { lanes = count };                                                                                 \
    const int64_t i##_end = (size) / lanes * lanes;                                                         \
    WB_CHUNKS(WB_FULL, order, i, i##_end, all, __VA_ARGS__)                                                 \
    for (int64_t i = i##_end; i < (size); ++i) { __VA_ARGS__ }                                              \
  }
/* The same for a body that calls functions: a short row one by one, else blocks. */
#define WB_CALLS(order, count, i, size, all, ...) {                                                         \
    enum { lanes = count };                                                                                 \
    if ((size) < lanes) WB_FEW(i, (size), all, __VA_ARGS__)                                                 \
    else { WB_START(all) WB_PARTIAL(order, i, 0, (size), all, __VA_ARGS__) WB_JOIN(all) }                   \
  }
#define WB_CALLS_IN_CHUNKS(order, count, i, size, all, ...) {                                               \
    enum { lanes = count };                                                                                 \
    if ((size) < lanes) WB_FEW(i, (size), all, __VA_ARGS__)                                                 \
    else { WB_CHUNKS(WB_PARTIAL, order, i, (size), all, __VA_ARGS__) }                                      \
  }

/* --- rows ------------------------------------------------------------------------------------ */

/* Of a row what is loaded and stored is known apart: (load, type, name, element), (store, type, name, element).
   So its last block is fetched as a whole, its other places filled with the first element, computed as a
   whole, and written in part: functions are called for vectors only, and what is written is read as it was
   written. See `rows.py`. */
#define WB_START_load(T, v, element)
#define WB_START_store(T, v, element)
#define WB_TAKE_load(T, v, element) const T v = element;
#define WB_TAKE_store(T, v, element) T v;
#define WB_GIVE_load(T, v, element)
#define WB_GIVE_store(T, v, element) element = v;
#define WB_JOIN_load(T, v, element)
#define WB_JOIN_store(T, v, element)

#ifdef __AVX2__
#define WB_FETCH(all) WB_JOINED(WB_FETCH_1 all, _END)
#define WB_FETCH_1(kind, ...) WB_FETCH_##kind(__VA_ARGS__) WB_FETCH_2
#define WB_FETCH_2(kind, ...) WB_FETCH_##kind(__VA_ARGS__) WB_FETCH_1
#define WB_FETCH_1_END
#define WB_FETCH_2_END
#define WB_TAKE_PART(all) WB_JOINED(WB_TAKE_PART_1 all, _END)
#define WB_TAKE_PART_1(kind, ...) WB_TAKE_PART_##kind(__VA_ARGS__) WB_TAKE_PART_2
#define WB_TAKE_PART_2(kind, ...) WB_TAKE_PART_##kind(__VA_ARGS__) WB_TAKE_PART_1
#define WB_TAKE_PART_1_END
#define WB_TAKE_PART_2_END
#define WB_GIVE_PART(all) WB_JOINED(WB_GIVE_PART_1 all, _END)
#define WB_GIVE_PART_1(kind, ...) WB_GIVE_PART_##kind(__VA_ARGS__) WB_GIVE_PART_2
#define WB_GIVE_PART_2(kind, ...) WB_GIVE_PART_##kind(__VA_ARGS__) WB_GIVE_PART_1
#define WB_GIVE_PART_1_END
#define WB_GIVE_PART_2_END
#define WB_WRITE(all) WB_JOINED(WB_WRITE_1 all, _END)
#define WB_WRITE_1(kind, ...) WB_WRITE_##kind(__VA_ARGS__) WB_WRITE_2
#define WB_WRITE_2(kind, ...) WB_WRITE_##kind(__VA_ARGS__) WB_WRITE_1
#define WB_WRITE_1_END
#define WB_WRITE_2_END
#define WB_FETCH_value(T, a, start, joined)
#define WB_FETCH_load(T, v, element) T v##_lane[lanes]; WB_FETCH_ELEMENTS(T, v##_lane, &element)
#define WB_FETCH_store(T, v, element) T v##_lane[lanes];
#define WB_TAKE_PART_value(T, a, start, joined) T a = a##_lane[l];
#define WB_TAKE_PART_load(T, v, element) const T v = v##_lane[l];
#define WB_TAKE_PART_store(T, v, element) T v;
#define WB_GIVE_PART_value(T, a, start, joined) a##_lane[l] = l < width ? a : a##_lane[l];
#define WB_GIVE_PART_load(T, v, element)
#define WB_GIVE_PART_store(T, v, element) v##_lane[l] = v;
#define WB_WRITE_value(T, a, start, joined)
#define WB_WRITE_load(T, v, element)
#define WB_WRITE_store(T, v, element) WB_WRITE_ELEMENTS(T, v##_lane, &element)
#if defined(__AVX512F__) && defined(__GNUC__) && !defined(__clang__)
/* By instructions: gcc 12 fetches into a register that must first be known, and so waits for the row before. */
typedef int32_t wb_words __attribute__((vector_size(64)));
typedef long long wb_pairs __attribute__((vector_size(64)));
#define WB_PARTS(vector, count, name, word, suffix, mask)                                                   \
  __attribute__((always_inline)) static inline void wb_fetch_##name(void *lane, const void *from, int width, int lanes) {\
    word first;                                                                                             \
    memcpy(&first, from, sizeof first);                                                                     \
    for (int k = 0; k < lanes; k += count) {                                                                \
      const vector v = __builtin_ia32_loaddqu##suffix##512_mask((const void *)((const word *)from + k), first - (vector){0},\
                                                                (mask)(((UINT64_C(1) << width) - 1) >> k)); \
      memcpy((word *)lane + k, &v, 64);                                                                     \
    }                                                                                                       \
  }                                                                                                         \
  __attribute__((always_inline)) static inline void wb_write_##name(const void *lane, void *to, int width, int lanes) {\
    for (int k = 0; k < lanes; k += count) {                                                                \
      vector v;                                                                                             \
      memcpy(&v, (const word *)lane + k, 64);                                                               \
      __builtin_ia32_storedqu##suffix##512_mask((void *)((word *)to + k), v, (mask)(((UINT64_C(1) << width) - 1) >> k));\
    }                                                                                                       \
  }
WB_PARTS(wb_words, 16, words, int32_t, si, uint16_t)
WB_PARTS(wb_pairs, 8, pairs, int64_t, di, uint8_t)
#define WB_FETCH_ELEMENTS(T, lane, from) (sizeof(T) == 4 ? wb_fetch_words : wb_fetch_pairs)(lane, from, width, lanes);
#define WB_WRITE_ELEMENTS(T, lane, to) (sizeof(T) == 4 ? wb_write_words : wb_write_pairs)(lane, to, width, lanes);
#else
#define WB_FETCH_ELEMENTS(T, lane, from) {                                                                  \
    const T *const whence = from;                                                                           \
    WB_INDEPENDENT for (int l = 0; l < lanes; ++l) lane[l] = l < width ? whence[l] : whence[0];             \
  }
#define WB_WRITE_ELEMENTS(T, lane, to) {                                                                    \
    T *const where = to;                                                                                    \
    WB_INDEPENDENT for (int l = 0; l < lanes; ++l) if (l < width) where[l] = lane[l];                       \
  }
#endif
#define WB_REST(order, i, first, stop, all, ...) {                                                          \
    const int64_t i##_block = first;                                                                        \
    const int width = (int)((stop) - i##_block);                                                            \
    { const int64_t i = i##_block; WB_FETCH(all)                                                            \
      WB_ORDER_##order for (int l = 0; l < lanes; ++l) {                                                    \
        const int64_t i = i##_block + l; WB_TAKE_PART(all) __VA_ARGS__ WB_GIVE_PART(all)                    \
      }                                                                                                     \
      WB_WRITE(all) }                                                                                       \
  }
#else
#define WB_REST(order, i, first, stop, all, ...) {                                                          \
    const int64_t i##_block = first;                                                                        \
    const int width = (int)((stop) - i##_block);                                                            \
    WB_ORDER_##order for (int l = 0; l < width; ++l) {                                                      \
      const int64_t i = i##_block + l; WB_TAKE(all) __VA_ARGS__ WB_GIVE(all)                                \
    }                                                                                                       \
  }
#endif

#define WB_WHOLE(order, i, first, stop, all, ...) {                                                         \
    const int64_t i##_whole = first + ((stop) - (first)) / lanes * lanes;                                   \
    WB_FULL(order, i, first, i##_whole, all, __VA_ARGS__)                                                   \
    if (i##_whole < (stop)) WB_REST(order, i, i##_whole, stop, all, __VA_ARGS__)                            \
  }
/* A row of at most one block stays in registers. */
#define WB_ROW_ANY(blocks, order, count, i, size, all, ...)                                                 \
  if ((size) <= 16) {                                                                                       \
    enum { lanes = 16 };                                                                                    \
    if ((size) > 0) { WB_START(all) WB_REST(order, i, 0, (size), all, __VA_ARGS__) WB_JOIN(all) }           \
  } else {                                                                                                  \
    enum { lanes = count };                                                                                 \
    blocks(order, i, (size), all, __VA_ARGS__)                                                              \
  }
#define WB_ROW_AT_ONCE(order, i, size, all, ...) { WB_START(all) WB_WHOLE(order, i, 0, size, all, __VA_ARGS__) WB_JOIN(all) }
#define WB_ROW_BY_CHUNKS(order, i, size, all, ...) WB_CHUNKS(WB_WHOLE, order, i, size, all, __VA_ARGS__)
#define WB_ROW(order, count, i, size, all, ...) WB_ROW_ANY(WB_ROW_AT_ONCE, order, count, i, size, all, __VA_ARGS__)
#define WB_ROW_IN_CHUNKS(order, count, i, size, all, ...) WB_ROW_ANY(WB_ROW_BY_CHUNKS, order, count, i, size, all, __VA_ARGS__)

/* The place of the first element of 0 <= i < size where the body sets `here`. Blocks without one are skipped. */
#define WB_SEARCH(lanes, i, size, place, ...) {                                                             \
    int64_t i##_from = 0;                                                                                   \
    for (int here = 0; i##_from + lanes <= size; i##_from += lanes) {                                       \
      for (int l = 0; l < lanes; ++l) { const int64_t i = i##_from + l; __VA_ARGS__ }                       \
      if (here) break;                                                                                      \
    }                                                                                                       \
    for (int64_t i = i##_from; i < size; ++i) { int here = 0; __VA_ARGS__ place = i; if (here) break; }     \
  }

#endif
