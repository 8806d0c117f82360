/* The contract between a compiled program and whoever calls it.
 *
 * A program is plain C with no Python in it. It exports three symbols:
 *
 *   const int64_t wb_abi;                                       the number WB_ABI below
 *   void wb_bind(void *const *blas);                            addresses of the BLAS routines, in the order of enum wb_blas
 *   int  wb_run(wb_call *call, int64_t first, int64_t last);    runs the steps first <= s < last; 0 or an error code
 *
 * The caller owns the wb_call and keeps it from call to call: the program's scratch memory
 * (`slot`) stays in it and only grows. One wb_call serves one call at a time.
 */
#ifndef WB_ABI
#define WB_ABI 4
#include <stdint.h>

#define WB_MAX_DIMS 8

/* A C-contiguous array in native byte order. Sizes are in elements, and so are strides, which are
   set only for those inputs that need not be contiguous: the program's host knows which. */
typedef struct {
  void *data;
  int64_t shape[WB_MAX_DIMS];
  int64_t stride[WB_MAX_DIMS];
} wb_array;

/* A block of scratch memory, 64-byte aligned. `bytes` is what it can hold. */
typedef struct {
  void *data;
  int64_t bytes;
} wb_slot;

enum wb_error_code {
  WB_OK = 0,
  WB_OUT_OF_MEMORY = 1, /* a = bytes asked for */
  WB_SHAPE = 2,         /* two sizes differ that must be equal: node, axis, a, b */
  WB_INDEX = 3,         /* an index is out of range: node, axis, a = index, b = size */
  WB_EMPTY = 4,         /* a reduction without identity over an empty axis: node, axis */
  WB_VALUE = 5,         /* another impossible value: node, axis, a, b */
  WB_HOST = 6,          /* the host's reference failed; the host keeps the exception */
  WB_STOPPED = 7        /* the host wants the call to end; it knows why */
};

typedef struct {
  int64_t code, node, axis, a, b;
} wb_failure;

typedef struct wb_call wb_call;

/* The iterations begin <= i < end of a loop. `own` is this thread's own copy of the call. */
typedef int wb_part(wb_call *own, int64_t begin, int64_t end);

struct wb_call {
  wb_array *input;  /* the arguments, then the shared variables; never written but in the commit steps.
                       `data` may change between two steps, never during one */
  wb_array *output; /* filled by the program, memory from `alloc` */
  /* Memory for output `index`, whose shape stands in output[index].shape; NULL when there is none. */
  void *(*alloc)(wb_call *call, int64_t index);
  /* Runs the NumPy reference of step `step`: reads in[0..n_in), sets out[0..n_out) to memory that the
     host keeps alive until this step runs again. Returns 0 or WB_HOST. */
  int (*host)(wb_call *call, int64_t step, wb_array *in, int64_t n_in, wb_array *out, int64_t n_out);
  /* Calls part(own, begin, end) for ranges that together are 0..size, perhaps several at the same
     time; `own` is a copy of the call whose `thread` tells them apart. Every range begins at a
     multiple of `grain` and is a multiple of it long, but for the last. So a loop whose iterations
     the compiler packs into vectors has the same bits for any ranges if `grain` is a multiple of
     64; and it pays if a grain is worth 10 us or more. Returns WB_OK, or the code of the failing
     range with the smallest begin, with its failure in call->failure, or WB_STOPPED. NULL: there is
     one range, and the program calls the part itself. A part calls neither `alloc` nor `host`. */
  int (*split)(wb_call *call, wb_part *part, int64_t size, int64_t grain);
  /* To be asked in long work every few milliseconds, and before a library call that may be long:
     WB_OK, or WB_STOPPED, and then the program ends at once. NULL: never. A part may ask too.
     Step 0 asks neither this nor `split`. */
  int (*pause)(wb_call *call);
  int64_t threads;    /* how many parts may run at the same time, at least 1; fixed during a call */
  int64_t thread;     /* number of the part's thread, 0 <= thread < threads */
  int64_t committing; /* the host's own, set before the commit steps: nothing stops the call any more */
  const int64_t *at;  /* the program's own: the numbers of the running step, where kernels are compiled apart */
  void *owner;        /* the host's own; the program does not look */
  wb_slot *slot;      /* the program's scratch memory */
  void **value;       /* where each stored value of the program lies in this call */
  int64_t *size;      /* the run-time sizes of this call, by number */
  double work;        /* about what the loop costs that `split` is asked for, in additions; 0 if unknown */
  wb_failure failure;
};

enum wb_blas {
  WB_SGEMM, WB_DGEMM, WB_SGEMV, WB_DGEMV, WB_SDOT, WB_DDOT, WB_SGER, WB_DGER, WB_CGEMM, WB_ZGEMM, WB_BLAS_COUNT
};

#endif
