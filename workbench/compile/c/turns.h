/* Turns: calls from several threads are as if one came after the other.
 *
 * A call that keeps Python's lock from its first moment to its last is alone by nature. Others let
 * other threads run in between: while Python computes a step, or while the program is long. Such a
 * call stands in a queue, and whoever comes later waits for it if it is a call of the same function,
 * or if one of the two changes a shared variable that the other has. Who waits stands in the queue
 * too, so nobody is overtaken for ever. A call made from inside a step of a running call, by the same
 * thread, waits neither for that call nor for anybody who may be waiting for it.
 *
 * Everything here is guarded by Python's lock. Read next: long.h.
 */
#define LOOK_EVERY 50000000 /* ns between two looks for signals */

static Turn *queue = NULL;
static int n_waiting = 0;
static long fork_generation = 0; /* forks so far */

static struct {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  unsigned long ends; /* of calls that somebody may have waited for; written with both locks held */
} bell = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};

static void join_queue(Turn *turn) {
  Turn **place = &queue;
  while (*place != NULL) place = &(*place)->next;
  turn->next = NULL;
  *place = turn;
}

/* Takes a turn out, if it is there, and puts another in its place, or NULL. */
static void replace_turn(Turn *turn, Turn *other) {
  for (Turn **place = &queue; *place != NULL; place = &(*place)->next) {
    if (*place != turn) continue;
    if (other != NULL) other->next = turn->next;
    *place = other != NULL ? other : turn->next;
    return;
  }
}

/* Tells those who wait that a call has ended. */
static void ring(void) {
  if (n_waiting == 0) return;
  pthread_mutex_lock(&bell.mutex);
  bell.ends++;
  pthread_cond_broadcast(&bell.changed);
  pthread_mutex_unlock(&bell.mutex);
}

/* Lets other threads run until a call has ended, or for LOOK_EVERY; -1 if a signal's handler raised. */
static int listen(void) {
  unsigned long before = bell.ends;
  Py_BEGIN_ALLOW_THREADS
  struct timespec last;
  clock_gettime(CLOCK_REALTIME, &last);
  last.tv_nsec += LOOK_EVERY;
  last.tv_sec += last.tv_nsec / 1000000000;
  last.tv_nsec %= 1000000000;
  pthread_mutex_lock(&bell.mutex);
  if (bell.ends == before) pthread_cond_timedwait(&bell.changed, &bell.mutex, &last);
  pthread_mutex_unlock(&bell.mutex);
  Py_END_ALLOW_THREADS
  return PyErr_CheckSignals();
}

/* Whether two calls must not overlap. */
static int meet(const Runner *a, const Runner *b) {
  if (a == b) return 1;
  for (Py_ssize_t i = 0; i < a->n_shared; i++)
    for (Py_ssize_t k = 0; k < b->n_shared; k++)
      if ((a->changes[i] || b->changes[k]) &&
          PyTuple_GET_ITEM(a->storages, i) == PyTuple_GET_ITEM(b->storages, k))
        return 1;
  return 0;
}

/* Whether a call must wait for one that stands before it. */
static int must_wait(const Turn *mine) {
  const Turn *turn;
  int is_inner = 0;
  for (turn = queue; turn != NULL; turn = turn->next)
    if (!turn->waits && turn->thread == mine->thread) is_inner = 1;
  for (turn = queue; turn != mine; turn = turn->next)
    if (turn->thread != mine->thread && !(is_inner && turn->waits) &&
        meet(turn->runner, mine->runner))
      return 1;
  return 0;
}

/* In the child of a fork only the thread that forked goes on, with the calls it is in. */
static void forget_others(void) {
  unsigned long me = PyThread_get_thread_ident();
  for (Turn **place = &queue; *place != NULL;) {
    if ((*place)->thread == me && !(*place)->waits)
      place = &(*place)->next;
    else
      *place = (*place)->next;
  }
  n_waiting = 0;
  fork_generation++;
  bell.mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
  bell.changed = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
}

/* A thread that was in the call when the process was forked is not in the child. What it left may
   be half made, so it is given up, not freed. */
static void give_up(Runner *self) {
  for (Py_ssize_t i = 0; i < self->n_slots; i++) self->call.slot[i] = (wb_slot){NULL, 0};
  for (Py_ssize_t i = 0; i < self->inputs.n; i++) self->taken[i] = self->copies[i] = NULL;
  for (Py_ssize_t i = 0; i < self->outputs.n; i++) self->made[i] = self->spare[i] = NULL;
  self->lease = NULL;
  self->away = NULL;
  self->queued = 0;
  self->holder = 0;
}

/* Waits until it is the call's turn, which then is in the queue. */
static int wait_in_turn(Runner *self, unsigned long me) {
  Turn mine = {NULL, self, me, 1};
  int failed = 0;
  join_queue(&mine);
  n_waiting++;
  while ((self->holder != 0 || must_wait(&mine)) && !failed) failed = listen() < 0;
  n_waiting--;
  if (!failed) {
    self->turn = (Turn){NULL, self, me, 0};
    self->queued = 1;
  }
  replace_turn(&mine, failed ? NULL : &self->turn);
  if (failed) ring();
  return failed ? -1 : 0;
}

/* From now on other threads may run during the call: they must see it. */
static void enqueue(Runner *self) {
  if (self->queued) return;
  self->turn = (Turn){NULL, self, self->holder, 0};
  self->queued = 1;
  join_queue(&self->turn);
}

/* Ends the call's turn. */
static void dequeue(Runner *self) {
  if (self->queued) replace_turn(&self->turn, NULL);
  self->queued = 0;
  self->holder = 0;
  ring();
}
