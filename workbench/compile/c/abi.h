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
#define WB_ABI 1
#include <stdint.h>

#define WB_MAX_DIMS 8

/* A C-contiguous array in native byte order. Sizes are in elements. */
typedef struct {
  void *data;
  int64_t shape[WB_MAX_DIMS];
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
  WB_HOST = 6           /* the host's reference failed; the host keeps the exception */
};

typedef struct {
  int64_t code, node, axis, a, b;
} wb_failure;

typedef struct wb_call wb_call;
struct wb_call {
  wb_array *input;  /* the arguments, then the shared variables; never written but in the commit steps */
  wb_array *output; /* filled by the program, memory from `alloc` */
  /* Memory for output `index`, whose shape stands in output[index].shape; NULL when there is none. */
  void *(*alloc)(wb_call *call, int64_t index);
  /* Runs the NumPy reference of step `step`: reads in[0..n_in), sets out[0..n_out) to memory that the
     host keeps alive until this step runs again. Returns 0 or WB_HOST. */
  int (*host)(wb_call *call, int64_t step, wb_array *in, int64_t n_in, wb_array *out, int64_t n_out);
  void *owner;      /* the host's own; the program does not look */
  wb_slot *slot;    /* the program's scratch memory */
  void **value;     /* where each stored value of the program lies in this call */
  int64_t *size;    /* the run-time sizes of this call, by number */
  wb_failure failure;
};

enum wb_blas {
  WB_SGEMM, WB_DGEMM, WB_SGEMV, WB_DGEMV, WB_SDOT, WB_DDOT, WB_SGER, WB_DGER, WB_BLAS_COUNT
};

#endif
