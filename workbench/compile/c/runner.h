/* What a Runner holds, and what an array must look like to be lent to its program. */
/* What an array must look like. A size of -1 is free. */
typedef struct {
  PyArray_Descr *descr;
  int type_num;
  int ndim;
  int strided; /* 0: the program takes contiguous arrays; else a layout: see has_layout */
  npy_intp shape[WB_MAX_DIMS];
} Form;

/* A list of forms. */
typedef struct {
  Py_ssize_t n;
  Form *form;
} Forms;

/* A step that Python computes. `kept` holds its last results: the program reads them. */
typedef struct {
  Forms in, out;
  PyArrayObject **kept;
} HostStep;

/* The shared variable `shared` gets the value of the output `output`. */
typedef struct {
  Py_ssize_t shared, output;
} Update;

typedef struct Runner Runner;

/* A call in the queue of turns.h. */
typedef struct Turn Turn;
struct Turn {
  Turn *next;
  Runner *runner;
  unsigned long thread;
  int waits;
};

struct Runner {
  PyObject_HEAD
  vectorcallfunc vectorcall;
  int (*program)(wb_call *, int64_t, int64_t);
  wb_call call;
  int64_t n_steps;
  int64_t first_commit;      /* from this step on, shared variables are written in place */
  Py_ssize_t n_arguments, n_shared, n_visible, n_updates, n_in_place, n_slots;
  int hosted;                /* Python computes some of the steps */
  int single;                /* one visible output is returned as itself, not in a list */
  Forms inputs;              /* the arguments, then the shared variables */
  Forms outputs;             /* the visible ones, then the new values of shared variables */
  PyObject *storages;        /* tuple of lists of length 1, each holding a shared array */
  Update *updates;
  Py_ssize_t *in_place;      /* shared variables that the program's last steps write to */
  char *changes;             /* for each shared variable whether calls change it */
  HostStep **host_step;      /* by step number; NULL where the program computes the step */
  PyArrayObject **taken;     /* the arrays this call reads */
  PyArrayObject **made;      /* the arrays this call fills */
  PyArrayObject **spare;     /* arrays of the call before, filled again if nobody holds them */
  PyArrayObject **copies;    /* of arguments that were not contiguous, used again likewise */
  PyObject *lease;           /* base of every view that this call gave to Python, or NULL */
  PyObject *module, *names, *host, *on_mismatch, *on_failure;
  PyObject *on_strided;      /* called for large arguments that are not contiguous, or NULL */
  npy_intp worth;            /* the bytes of a large one */
  unsigned long holder;      /* the thread in the call, or 0 */
  long generation;           /* of the process that the holder lives in */
  Turn turn;                 /* of the call, in the queue if `queued` */
  int queued;
  PyThreadState *away;       /* not NULL while other Python threads run during the call */
  int64_t looked;            /* when the call last looked for signals, ns; 0: not yet */
  int stopped;               /* a signal's handler raised: the call is to end */
};

/* Whether the array has the form's dtype, axes and sizes. NumPy has two type numbers for
   int64 (long and long long), hence the second look. */
static inline int has_form(PyArrayObject *array, const Form *form) {
  if (PyArray_TYPE(array) != form->type_num &&
      !PyArray_EquivTypenums(PyArray_TYPE(array), form->type_num))
    return 0;
  if (PyArray_NDIM(array) != form->ndim || !PyArray_ISNOTSWAPPED(array)) return 0;
  const npy_intp *shape = PyArray_DIMS(array);
  for (int d = 0; d < form->ndim; d++)
    if (form->shape[d] >= 0 && form->shape[d] != shape[d]) return 0;
  return 1;
}

/* Whether an array lies in memory as a form with strides has it: rows one after the other, perhaps
   with gaps (1); lines without gaps, anywhere (2); elements anywhere (3). See layouts.py. */
static int has_layout(PyArrayObject *array, const Form *form) {
  const npy_intp item = PyArray_ITEMSIZE(array);
  npy_intp extent = item;
  if (!PyArray_ISALIGNED(array)) return 0;
  for (int d = form->ndim - 1; d >= 0; d--) {
    npy_intp size = PyArray_DIM(array, d), stride = PyArray_STRIDE(array, d);
    if (size <= 1) continue;
    if (stride % item != 0) return 0;
    if (form->strided < 3 && d == form->ndim - 1 && stride != item) return 0;
    if (form->strided < 2 && stride < extent) return 0;
    extent = stride * size;
  }
  return 1;
}

/* The memory between the first and the last element, whatever the strides. */
static void bounds(PyArrayObject *array, const char **first, const char **last) {
  *first = *last = PyArray_BYTES(array);
  for (int d = 0; d < PyArray_NDIM(array); d++) {
    npy_intp way = (PyArray_DIM(array, d) - 1) * PyArray_STRIDE(array, d);
    if (PyArray_DIM(array, d) == 0) return;
    if (way < 0) *first += way;
    else *last += way;
  }
  *last += PyArray_ITEMSIZE(array);
}

static int overlaps(PyArrayObject *a, PyArrayObject *b) {
  const char *x, *x_end, *y, *y_end;
  bounds(a, &x, &x_end);
  bounds(b, &y, &y_end);
  return x < y_end && y < x_end;
}

static inline PyArrayObject *copy_of(PyArrayObject *array) {
  return (PyArrayObject *)PyArray_NewCopy(array, NPY_CORDER);
}
