/* What a loop over steps needs besides its program: to be stopped, however short its steps are. */
#ifndef WB_LOOP
#define WB_LOOP
#include <time.h>

/* When the clock was read, and at which step it will be read again. */
typedef struct {
  int64_t next, gap, begun, last;
} wb_ticks;

/* Asks after every step whether the call is to stop: in truth about once a millisecond, so that short
   steps do not wait for a clock; and in the first two never, so that a short loop waits for nobody. */
WB_UNUSED static int wb_tick(wb_call *c, wb_ticks *ticks, int64_t step) {
  if (step < ticks->next || !c->pause) return WB_OK;
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  const int64_t now = (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
  if (!ticks->begun) ticks->begun = ticks->last = now, ticks->gap = 1;
  if (now - ticks->last < 1000000 && ticks->gap < 1 << 20) ticks->gap *= 2;
  if (now - ticks->last > 4000000 && ticks->gap > 1) ticks->gap /= 2;
  ticks->last = now;
  ticks->next = step + ticks->gap;
  return now - ticks->begun < 2000000 ? WB_OK : c->pause(c);
}

#endif
