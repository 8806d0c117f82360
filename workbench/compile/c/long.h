/* Long calls: other Python threads run meanwhile, and signals are answered.
 *
 * A program asks its host to `split` a loop or to `pause` only where work is long. So that is when
 * the call lets go of Python's lock: at a pause, or when loops have taken GO_AFTER. Shorter calls
 * keep it, because where other threads want it, it takes Python's switch interval of 5 ms to get
 * it back. The call comes back for memory, for steps that Python computes, to look for signals,
 * and in the end. While shared variables are written in place it stays: nobody sees one half written.
 */
#define GO_AFTER 200000 /* ns */

static void go_away(Runner *self) {
  if (self->away != NULL) return;
  enqueue(self);
  self->away = PyEval_SaveThread();
}

static void come_back(Runner *self) {
  if (self->away == NULL) return;
  PyThreadState *state = self->away;
  self->away = NULL;
  PyEval_RestoreThread(state);
}

/* Lets other threads run, and runs handlers of signals that came, each if it is time. Only Python's
   main thread runs handlers. */
static int look_around(wb_call *call, int64_t now) {
  Runner *self = call->owner;
  if (call->committing || self->stopped) return self->stopped ? WB_STOPPED : WB_OK;
  if (self->looked == 0) self->looked = now;
  if (self->away == NULL) {
    if (now - self->looked < GO_AFTER) return WB_OK;
    go_away(self);
  }
  if (now - self->looked < LOOK_EVERY) return WB_OK;
  self->looked = now;
  come_back(self);
  if (PyErr_CheckSignals() < 0) {
    self->stopped = 1; /* the exception stays set until the call ends */
    return WB_STOPPED;
  }
  go_away(self);
  return WB_OK;
}

/* `pause` of abi.h. */
static int pause_call(wb_call *call) {
  Runner *self = call->owner;
  if (call->thread != 0) return atomic_load(&pool.stopped) ? WB_STOPPED : WB_OK;
  if (!call->committing && !self->stopped) go_away(self);
  return look_around(call, clock_ns());
}

/* `split` of abi.h. */
static int split_loop(wb_call *call, wb_part *part, int64_t size, int64_t grain) {
  Runner *self = call->owner;
  if (self->stopped) return WB_STOPPED;
  if (self->looked == 0) self->looked = clock_ns();
  return pool_split(call, part, size, grain, look_around);
}
