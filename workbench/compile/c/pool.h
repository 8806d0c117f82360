/* Threads that share the iterations of a loop.
 *
 * One pool serves all programs of the process; it is made when a loop first needs it. A loop is
 * cut into ranges, and whoever is free takes the next one. Ranges begin at multiples of the
 * loop's grain whatever the number of threads, so that the compiler's vectors, and with them
 * the bits of the results, are the same for any number. The caller takes part; when another
 * loop has the pool, it does the work alone. Between loops the workers watch for the next one
 * for some microseconds, the longer the last one was, then sleep. To wake one takes 5 to 30 us, so sleepers are woken at once only
 * for loops of much work, and otherwise for what the first range shows to be long. Where other
 * processes want the processors, the caller may wait for a worker that does not run: after a loop
 * that took twice as long as the processor time of its threads together the pool rests a while, but
 * for long loops, which gain more than is lost. Less is no loss: two threads that take turns on one
 * processor are as fast as one, and are moved apart if they go on. A forked child has no workers
 * and makes its own.
 *
 * There is no Python here. Read next: long.h.
 */
#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#define POOL_MAX_THREADS 256
#define POOL_RANGE 2000000 /* what a range should take, ns: between two the caller looks around */
#define POOL_WORTH 50000   /* what must be left of a loop to wake a sleeping worker for it, ns */
#define POOL_LONG 2000000  /* from this work on, in additions, one is woken at once */
#define POOL_SURE 20000000 /* from this work on, in additions, a loop is shared though the pool rests */
#define POOL_LOST 200000   /* how much longer than twice its processor time a loop may take, ns */
#define POOL_REST 4        /* how long the pool rests then, in times of what was lost; doubled up to 32 */
#define POOL_SPINS 500     /* glances at the workers before the caller sleeps, some tens of microseconds */
#define POOL_WATCH 20000   /* how long workers watch for the next loop, ns; up to 16 times that after long ones */

/* Called by the caller's thread between ranges; WB_STOPPED ends the loop. */
typedef int Look(wb_call *call, int64_t now);

/* A loop that is being run. */
typedef struct {
  wb_call *call;
  wb_part *part;
  Look *look;
  int64_t size, grain;
  int threads;           /* how many may take part, the caller included */
  int joined;            /* how many do, the caller included */
  fenv_t environment;    /* the caller's rounding and treatment of subnormal numbers */
  _Atomic int64_t next;  /* the first iteration that nobody has taken */
  _Atomic int64_t pace;  /* iterations that take about POOL_RANGE */
  int stopped;           /* by the caller's thread */
  _Atomic int64_t busy;  /* processor time of all threads, ns */
  pthread_mutex_t mutex; /* guards what follows */
  int code;              /* of the failing range with the smallest begin */
  int64_t begin;
  wb_failure failure;
} Loop;

static struct {
  atomic_flag taken;      /* a loop has the pool */
  int64_t rest;           /* how many times what is lost it rests; guarded by `taken` */
  _Atomic int64_t until;  /* when it has rested */
  pthread_mutex_t mutex;  /* guards what follows */
  pthread_cond_t work, done;
  Loop *loop;             /* the one to join, or NULL */
  _Atomic unsigned count; /* of loops so far */
  int workers, sleeping;
  long forks;             /* that led to this process */
  _Atomic int active;     /* workers in the loop */
  _Atomic int stopped;    /* the loop is to end: what parts in workers are told */
} pool = {.taken = ATOMIC_FLAG_INIT, .rest = POOL_REST, .mutex = PTHREAD_MUTEX_INITIALIZER,
          .work = PTHREAD_COND_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};

/* In the child of a fork: the workers are gone, and so is whoever held the mutex. */
static void pool_forget(void) {
  atomic_flag_clear(&pool.taken);
  pool.mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
  pool.work = pool.done = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
  pool.loop = NULL;
  pool.workers = pool.sleeping = 0;
  pool.forks++;
  atomic_store(&pool.active, 0);
}

static int64_t clock_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* What the thread that asks has had of a processor, ns. */
static int64_t busy_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static inline void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* ---- A loop ---------------------------------------------------------------------------------- */

/* Takes the next range: large ones first, so that all threads end together. */
static int take_range(Loop *loop, int64_t *begin, int64_t *end) {
  int64_t first = atomic_load_explicit(&loop->next, memory_order_relaxed), last;
  do {
    int64_t left = loop->size - first;
    if (left <= 0) return 0;
    int64_t wanted = atomic_load_explicit(&loop->pace, memory_order_relaxed);
    if (loop->threads > 1 && wanted > left / (2 * loop->threads))
      wanted = left / (2 * loop->threads);
    wanted = wanted / loop->grain * loop->grain;
    if (wanted < loop->grain) wanted = loop->grain;
    last = wanted < left ? first + wanted : loop->size;
  } while (!atomic_compare_exchange_weak(&loop->next, &first, last));
  *begin = first;
  *end = last;
  return 1;
}

/* Ranges are taken in order, and every range that is taken is run. So the failure with the
   smallest begin is the one that a single thread would have met. */
static void range_failed(Loop *loop, int code, int64_t begin, const wb_failure *failure) {
  atomic_store(&loop->next, loop->size);
  pthread_mutex_lock(&loop->mutex);
  if (loop->code == WB_OK || begin < loop->begin) {
    loop->code = code;
    loop->begin = begin;
    loop->failure = *failure;
  }
  pthread_mutex_unlock(&loop->mutex);
}

/* Wakes a worker for the loop, if one sleeps; it will wake the next. */
static void wake_another(Loop *loop) {
  pthread_mutex_lock(&pool.mutex);
  int wanted = pool.sleeping > 0 && loop->joined < loop->threads;
  pthread_mutex_unlock(&pool.mutex);
  if (wanted) pthread_cond_signal(&pool.work);
}

/* Runs ranges until there are none left. `thread` is 0 for the caller. */
static void run_ranges(Loop *loop, int thread) {
  wb_call own = *loop->call;
  own.thread = thread;
  own.split = NULL; /* a loop inside a part has one range */
  const int64_t busy = loop->threads > 1 ? busy_ns() : 0;
  int64_t begin, end, before = clock_ns();
  int first = thread == 0 && loop->threads > 1;
  if (first && loop->call->work >= POOL_LONG) wake_another(loop), first = 0;
  while (take_range(loop, &begin, &end)) {
    int code = loop->part(&own, begin, end);
    if (code != WB_OK) range_failed(loop, code, begin, &own.failure);
    int64_t now = clock_ns(), took = now - before;
    double growth = took > POOL_RANGE / 16 ? (double)POOL_RANGE / (double)took : 16;
    double pace = growth * (double)(end - begin);
    atomic_store_explicit(&loop->pace, pace < (double)loop->size ? (int64_t)pace : loop->size,
                          memory_order_relaxed);
    before = now;
    if (first && (double)(loop->size - end) * (double)took > POOL_WORTH * (double)(end - begin)) {
      wake_another(loop);
      before = clock_ns();
    }
    first = 0;
    if (thread == 0 && loop->look(loop->call, now) != WB_OK) {
      loop->stopped = 1;
      atomic_store(&pool.stopped, loop->threads > 1);
      atomic_store(&loop->next, loop->size);
    }
  }
  if (loop->threads > 1) atomic_fetch_add(&loop->busy, busy_ns() - busy);
}

/* ---- The pool -------------------------------------------------------------------------------- */

static void *worker(void *unused) {
  (void)unused;
  unsigned seen = 0;
  int64_t watch = POOL_WATCH;
  for (;;) {
    const int64_t until = clock_ns() + watch;
    while (atomic_load(&pool.count) == seen && clock_ns() < until)
      for (int i = 0; i < 16 && atomic_load(&pool.count) == seen; i++) relax();
    pthread_mutex_lock(&pool.mutex);
    while (pool.loop == NULL || atomic_load(&pool.count) == seen ||
           pool.loop->joined == pool.loop->threads) {
      pool.sleeping++;
      pthread_cond_wait(&pool.work, &pool.mutex);
      pool.sleeping--;
    }
    seen = atomic_load(&pool.count);
    Loop *loop = pool.loop;
    int thread = loop->joined++;
    atomic_fetch_add(&pool.active, 1);
    pthread_mutex_unlock(&pool.mutex);
    wake_another(loop);
    fesetenv(&loop->environment);
    const int64_t begin = clock_ns();
    run_ranges(loop, thread);
    watch = (clock_ns() - begin) / 8;
    watch = watch < POOL_WATCH ? POOL_WATCH : watch > 16 * POOL_WATCH ? 16 * POOL_WATCH : watch;
    pthread_mutex_lock(&pool.mutex);
    if (atomic_fetch_sub(&pool.active, 1) == 1) pthread_cond_signal(&pool.done);
    pthread_mutex_unlock(&pool.mutex);
  }
  return NULL;
}

/* Starts workers until there are `wanted`, or no more can be had; the mutex is held. They leave
   signals to the threads that Python knows, but for those that a fault of their own raises. */
static void start_workers(int wanted) {
  if (pool.workers >= wanted) return;
  sigset_t all, before;
  sigfillset(&all);
  const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(&all, faults[i]);
  pthread_attr_t detached;
  pthread_attr_init(&detached);
  pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  while (pool.workers < wanted && pthread_create(&thread, &detached, worker, NULL) == 0)
    pool.workers++;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&detached);
}

static void run_together(Loop *loop) {
  int64_t begin = clock_ns();
  long forks = pool.forks;
  fegetenv(&loop->environment);
  atomic_store(&pool.stopped, 0);
  pthread_mutex_lock(&pool.mutex);
  start_workers(loop->threads - 1);
  pool.loop = loop;
  atomic_fetch_add(&pool.count, 1);
  pthread_mutex_unlock(&pool.mutex);
  run_ranges(loop, 0);
  pthread_mutex_lock(&pool.mutex);
  pool.loop = NULL;
  pthread_mutex_unlock(&pool.mutex);
  for (int i = 0; i < POOL_SPINS && atomic_load(&pool.active) > 0; i++) relax();
  pthread_mutex_lock(&pool.mutex);
  while (atomic_load(&pool.active) > 0) pthread_cond_wait(&pool.done, &pool.mutex);
  pthread_mutex_unlock(&pool.mutex);
  if (pool.forks != forks) loop->stopped = 1; /* by a signal's handler: ranges are lost */
  int64_t now = clock_ns();
  const int64_t took = now - begin, busy = atomic_load(&loop->busy);
  if (took > 2 * busy + POOL_LOST) {
    atomic_store(&pool.until, now + pool.rest * (took - busy));
    if (pool.rest < 8 * POOL_REST) pool.rest *= 2;
  } else if (pool.rest > POOL_REST) {
    pool.rest /= 2;
  }
}

/* Runs a loop on up to call->threads threads; `split` of abi.h. */
static int pool_split(wb_call *call, wb_part *part, int64_t size, int64_t grain, Look *look) {
  if (size <= 0) return WB_OK;
  if (grain < 1) grain = 1;
  int64_t ranges = (size - 1) / grain + 1;
  Loop loop = {.call = call, .part = part, .look = look, .size = size, .grain = grain,
               .joined = 1, .mutex = PTHREAD_MUTEX_INITIALIZER};
  loop.threads = (int)(call->threads < ranges ? call->threads : ranges);
  atomic_store(&loop.pace, grain);
  const int ready = call->work >= POOL_SURE || clock_ns() >= atomic_load(&pool.until);
  if (loop.threads > 1 && ready && !atomic_flag_test_and_set(&pool.taken)) {
    run_together(&loop);
    atomic_flag_clear(&pool.taken);
  } else {
    loop.threads = 1;
    run_ranges(&loop, 0);
  }
  if (loop.stopped) return WB_STOPPED;
  if (loop.code != WB_OK) call->failure = loop.failure;
  return loop.code;
}
