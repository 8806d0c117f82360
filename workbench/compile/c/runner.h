/* What a Runner holds, and what an array must look like to be lent to its program. */
/* What an array must look like. A size of -1 is free. */
typedef struct {
  PyArray_Descr *descr;
  int type_num;
  int ndim;
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

static int overlaps(PyArrayObject *a, PyArrayObject *b) {
  const char *x = PyArray_BYTES(a), *y = PyArray_BYTES(b);
  return x < y + PyArray_NBYTES(b) && y < x + PyArray_NBYTES(a);
}

static inline PyArrayObject *copy_of(PyArrayObject *array) {
  return (PyArrayObject *)PyArray_NewCopy(array, NPY_CORDER);
}
