/* The fast call: a Python object that checks its arguments and runs one compiled program.
 *
 * A program (abi.h) is plain C. A Runner stands between it and Python: it takes NumPy arrays,
 * checks them in a few nanoseconds each, lends their memory to the program, gives it memory
 * for the outputs, and afterwards puts the new values of the shared variables in place.
 * Nothing here belongs to one program, so it is compiled once per Python and NumPy.
 * runner.py holds the same behaviour in Python, for where this file cannot be compiled.
 *
 * One call, in order:
 *   enter    one call at a time per Runner
 *   take     arguments and shared variables are checked; odd ones are copied
 *   run      the program runs, through `allocate` and `run_host` below
 *   commit   every shared variable gets its new value, or none does
 *   leave    what the call held is let go
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_2_0_API_VERSION
#include <numpy/arrayobject.h>

#include "abi.h"

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

typedef struct {
  PyObject_HEAD
  vectorcallfunc vectorcall;
  int (*program)(wb_call *, int64_t, int64_t);
  wb_call call;
  int64_t n_steps;
  Py_ssize_t n_arguments, n_shared, n_visible, n_updates, n_in_place, n_slots;
  int single;                /* one visible output is returned as itself, not in a list */
  Forms inputs;              /* the arguments, then the shared variables */
  Forms outputs;             /* the visible ones, then the new values of shared variables */
  PyObject *storages;        /* tuple of lists of length 1, each holding a shared array */
  Update *updates;
  Py_ssize_t *in_place;      /* shared variables that the program's last steps write to */
  HostStep **host_step;      /* by step number; NULL where the program computes the step */
  PyArrayObject **taken;     /* the arrays this call reads */
  PyArrayObject **made;      /* the arrays this call fills */
  PyArrayObject **spare;     /* arrays of the call before, filled again if nobody holds them */
  PyObject *lease;           /* base of every view that this call gave to Python, or NULL */
  PyObject *module, *names, *host, *on_mismatch, *on_failure;
  PyThread_type_lock lock;
  unsigned long holder;      /* the thread in the call */
  long generation;           /* of the process that the holder lives in */
} Runner;

/* Counts forks. A thread that held a lock in the parent does not exist in the child. */
static long fork_generation = 0;

static void count_fork(void) { fork_generation++; }

/* ---- Memory lent to Python ----------------------------------------------------------------
 * The inputs of a host step are views of memory that the program will use again. A host
 * function may keep such a view; so does the traceback of an exception. Every view of a call
 * has the call's lease as its base: while one of them lives, the memory under it does too.
 * Its contents may change, but it can always be read. */

typedef struct {
  Py_ssize_t n_blocks;
  void **block;  /* scratch memory that the views outlived */
  PyObject *held; /* whatever else they may point into */
} Lease;

static const char lease_name[] = "workbench.lease";

static void lease_free(PyObject *capsule) {
  Lease *lease = PyCapsule_GetPointer(capsule, lease_name);
  if (lease == NULL) return;
  for (Py_ssize_t i = 0; i < lease->n_blocks; i++) free(lease->block[i]);
  free(lease->block);
  Py_XDECREF(lease->held);
  free(lease);
}

static PyObject *lease_new(void) {
  Lease *lease = calloc(1, sizeof *lease);
  if (lease == NULL) return PyErr_NoMemory();
  PyObject *capsule = PyCapsule_New(lease, lease_name, lease_free);
  if (capsule == NULL) free(lease);
  return capsule;
}

static int hold_all(PyObject *list, PyArrayObject **array, Py_ssize_t n) {
  for (Py_ssize_t i = 0; i < n; i++)
    if (array[i] != NULL && PyList_Append(list, (PyObject *)array[i]) < 0) return -1;
  return 0;
}

/* Ends the lease. If a view escaped, the scratch memory goes with it, and the program will
   ask for new. Without memory for the book-keeping the blocks leak, which is safe. */
static void lease_end(Runner *self) {
  PyObject *capsule = self->lease;
  if (capsule == NULL || Py_REFCNT(capsule) == 1) return; /* kept for the next call */
  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  Lease *lease = PyCapsule_GetPointer(capsule, lease_name);
  lease->block = calloc((size_t)self->n_slots + 1, sizeof(void *));
  for (Py_ssize_t i = 0; i < self->n_slots; i++) {
    if (lease->block != NULL) lease->block[lease->n_blocks++] = self->call.slot[i].data;
    self->call.slot[i] = (wb_slot){NULL, 0};
  }
  PyObject *held = PyList_New(0);
  int failed = held == NULL || PyList_Append(held, self->module) < 0 ||
               hold_all(held, self->taken, self->inputs.n) < 0 ||
               hold_all(held, self->made, self->outputs.n) < 0;
  for (int64_t s = 0; s < self->n_steps && !failed; s++)
    if (self->host_step[s] != NULL)
      failed = hold_all(held, self->host_step[s]->kept, self->host_step[s]->out.n) < 0;
  lease->held = held;
  PyErr_Restore(type, value, traceback);
  Py_CLEAR(self->lease);
}

/* ---- Checks ------------------------------------------------------------------------------- */

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

static inline void take(Runner *self, Py_ssize_t index, PyArrayObject *array) {
  wb_array *input = &self->call.input[index];
  input->data = PyArray_DATA(array);
  const npy_intp *shape = PyArray_DIMS(array);
  for (int d = 0; d < PyArray_NDIM(array); d++) input->shape[d] = shape[d];
  self->taken[index] = array;
}

static inline PyArrayObject *copy_of(PyArrayObject *array) {
  return (PyArrayObject *)PyArray_NewCopy(array, NPY_CORDER);
}

/* Takes the arguments; returns the index of the first that has not the right form, the
   number of arguments if all have, or -1 with an exception. */
static Py_ssize_t take_arguments(Runner *self, PyObject *const *arguments) {
  for (Py_ssize_t i = 0; i < self->n_arguments; i++) {
    PyArrayObject *array = (PyArrayObject *)arguments[i];
    if (!PyArray_CheckExact(array) || !has_form(array, &self->inputs.form[i])) return i;
    if (PyArray_ISCARRAY_RO(array))
      Py_INCREF(array);
    else if ((array = copy_of(array)) == NULL)
      return -1;
    take(self, i, array);
  }
  return self->n_arguments;
}

/* Puts a copy of a shared variable's array in its place, and returns it. */
static PyArrayObject *replace_shared(Runner *self, Py_ssize_t shared, PyArrayObject *array) {
  PyArrayObject *copy = copy_of(array);
  if (copy == NULL) return NULL;
  Py_INCREF(copy);
  PyList_SetItem(PyTuple_GET_ITEM(self->storages, shared), 0, (PyObject *)copy);
  return copy;
}

/* Takes the shared variables. One that a user made strided is replaced once and for all. */
static int take_shared(Runner *self) {
  for (Py_ssize_t i = 0; i < self->n_shared; i++) {
    Py_ssize_t index = self->n_arguments + i;
    PyObject *storage = PyTuple_GET_ITEM(self->storages, i);
    PyObject *value = PyList_GET_SIZE(storage) == 1 ? PyList_GET_ITEM(storage, 0) : NULL;
    if (value == NULL || !PyArray_Check(value) ||
        !has_form((PyArrayObject *)value, &self->inputs.form[index])) {
      PyObject *name = PyTuple_GET_ITEM(self->names, index);
      const Form *form = &self->inputs.form[index];
      PyErr_Format(PyExc_TypeError,
                   "the shared variable %U no longer holds what the function was compiled "
                   "for: an array of %R with %d axes; it holds %R.\n"
                   "  Set it with set_value, or compile the function again.",
                   name, form->descr, form->ndim, value == NULL ? Py_None : value);
      return -1;
    }
    PyArrayObject *array = (PyArrayObject *)value;
    if (PyArray_ISCARRAY_RO(array))
      Py_INCREF(array);
    else if ((array = replace_shared(self, i, array)) == NULL)
      return -1;
    take(self, index, array);
  }
  return 0;
}

static int overlaps(PyArrayObject *a, PyArrayObject *b) {
  const char *x = PyArray_BYTES(a), *y = PyArray_BYTES(b);
  return x < y + PyArray_NBYTES(b) && y < x + PyArray_NBYTES(a);
}

/* Makes the variables that the program writes in place fit to be written: a read-only one is
   replaced, and every other input that shares memory with one is copied. */
static int part_inputs(Runner *self) {
  for (Py_ssize_t k = 0; k < self->n_in_place; k++) {
    Py_ssize_t written = self->n_arguments + self->in_place[k];
    int writeable = PyArray_ISWRITEABLE(self->taken[written]);
    for (Py_ssize_t i = 0; i < self->inputs.n; i++) {
      int shares = i == written ? !writeable : overlaps(self->taken[i], self->taken[written]);
      if (!shares) continue;
      PyArrayObject *copy = i < self->n_arguments
                                ? copy_of(self->taken[i])
                                : replace_shared(self, i - self->n_arguments, self->taken[i]);
      if (copy == NULL) return -1;
      Py_DECREF(self->taken[i]);
      take(self, i, copy);
    }
  }
  return 0;
}

/* ---- What the program calls ---------------------------------------------------------------- */

/* Whether an array of the call before may be filled again: it looks as it should, owns its
   memory, and nobody else can see it. */
static int is_free(PyArrayObject *array, const Form *form, const npy_intp *shape) {
  return Py_REFCNT(array) == 1 && PyArray_DESCR(array) == form->descr &&
         PyArray_NDIM(array) == form->ndim &&
         PyArray_CompareLists(PyArray_DIMS(array), shape, form->ndim) &&
         PyArray_ISCARRAY(array) && PyArray_CHKFLAGS(array, NPY_ARRAY_OWNDATA) &&
         ((PyArrayObject_fields *)array)->weakreflist == NULL;
}

static void *allocate(wb_call *call, int64_t index) {
  Runner *self = call->owner;
  const Form *form = &self->outputs.form[index];
  npy_intp shape[WB_MAX_DIMS];
  for (int d = 0; d < form->ndim; d++) shape[d] = (npy_intp)call->output[index].shape[d];
  PyArrayObject *array = self->spare[index];
  self->spare[index] = NULL;
  if (array == NULL || !is_free(array, form, shape)) {
    Py_XDECREF(array);
    Py_INCREF(form->descr);
    array = (PyArrayObject *)PyArray_NewFromDescr(&PyArray_Type, form->descr, form->ndim, shape,
                                                  NULL, NULL, 0, NULL);
    if (array == NULL) {
      PyErr_Clear(); /* the program reports WB_OUT_OF_MEMORY */
      return NULL;
    }
  }
  Py_XSETREF(self->made[index], array);
  return PyArray_DATA(array);
}

static PyObject *view_of(Runner *self, const wb_array *memory, const Form *form) {
  npy_intp shape[WB_MAX_DIMS];
  for (int d = 0; d < form->ndim; d++) shape[d] = (npy_intp)memory->shape[d];
  Py_INCREF(form->descr);
  PyObject *view = PyArray_NewFromDescr(&PyArray_Type, form->descr, form->ndim, shape, NULL,
                                        memory->data, NPY_ARRAY_CARRAY_RO, NULL);
  if (view == NULL) return NULL;
  Py_INCREF(self->lease);
  if (PyArray_SetBaseObject((PyArrayObject *)view, self->lease) < 0) Py_CLEAR(view);
  return view;
}

/* A host function's result as an array of exactly the promised form; a new reference. What
   shares memory with an input is copied: the program uses that memory again. */
static PyArrayObject *accept(PyObject *result, const Form *form, int64_t step, PyObject *views) {
  Py_INCREF(form->descr);
  PyArrayObject *array = (PyArrayObject *)PyArray_FromAny(
      result, form->descr, 0, 0, NPY_ARRAY_CARRAY_RO | NPY_ARRAY_NOTSWAPPED | NPY_ARRAY_ENSUREARRAY,
      NULL);
  if (array == NULL) return NULL;
  if (!has_form(array, form)) {
    PyErr_Format(PyExc_TypeError, "step %lld returned an array with %d axes instead of %d",
                 (long long)step, PyArray_NDIM(array), form->ndim);
    Py_DECREF(array);
    return NULL;
  }
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(views); i++) {
    if (!overlaps(array, (PyArrayObject *)PyList_GET_ITEM(views, i))) continue;
    Py_SETREF(array, copy_of(array));
    break;
  }
  return array;
}

static int keep_results(Runner *self, int64_t step, PyObject *results, PyObject *views,
                        wb_array *out) {
  HostStep *host = self->host_step[step];
  PyObject *sequence = PySequence_Fast(results, "a host step returns a list of arrays");
  if (sequence == NULL) return -1;
  if (PySequence_Fast_GET_SIZE(sequence) != host->out.n) {
    PyErr_Format(PyExc_TypeError, "step %lld returned %zd arrays instead of %zd", (long long)step,
                 PySequence_Fast_GET_SIZE(sequence), host->out.n);
    Py_DECREF(sequence);
    return -1;
  }
  for (Py_ssize_t i = 0; i < host->out.n; i++) {
    PyObject *result = PySequence_Fast_GET_ITEM(sequence, i);
    PyArrayObject *array = accept(result, &host->out.form[i], step, views);
    if (array == NULL) {
      Py_DECREF(sequence);
      return -1;
    }
    out[i].data = PyArray_DATA(array);
    for (int d = 0; d < PyArray_NDIM(array); d++) out[i].shape[d] = PyArray_DIMS(array)[d];
    Py_XSETREF(host->kept[i], array);
  }
  Py_DECREF(sequence);
  return 0;
}

/* An exception stays set while the program returns, and is what the call raises. */
static int run_host(wb_call *call, int64_t step, wb_array *in, int64_t n_in, wb_array *out,
                    int64_t n_out) {
  Runner *self = call->owner;
  HostStep *host = step >= 0 && step < self->n_steps ? self->host_step[step] : NULL;
  if (host == NULL || host->in.n != n_in || host->out.n != n_out) {
    PyErr_Format(PyExc_RuntimeError, "step %lld is not one that Python was to compute",
                 (long long)step);
    return WB_HOST;
  }
  if (self->lease == NULL && (self->lease = lease_new()) == NULL) return WB_HOST;
  PyObject *results = NULL;
  PyObject *views = PyList_New(n_in);
  if (views == NULL) return WB_HOST;
  for (Py_ssize_t i = 0; i < n_in; i++) {
    PyObject *view = view_of(self, &in[i], &host->in.form[i]);
    if (view == NULL) goto failed;
    PyList_SET_ITEM(views, i, view);
  }
  PyObject *number = PyLong_FromLongLong(step);
  if (number == NULL) goto failed;
  results = PyObject_CallFunctionObjArgs(self->host, number, views, NULL);
  Py_DECREF(number);
  if (results == NULL || keep_results(self, step, results, views, out) < 0) goto failed;
  Py_DECREF(results);
  Py_DECREF(views);
  return WB_OK;
failed:
  Py_XDECREF(results);
  Py_DECREF(views);
  return WB_HOST;
}

/* ---- The call ------------------------------------------------------------------------------ */

/* One call at a time. A host step runs Python, so another thread may come along in the middle
   of a call: it waits. The same thread coming back would wait for itself. */
static int enter(Runner *self) {
  unsigned long me = PyThread_get_thread_ident();
  if (PyThread_acquire_lock(self->lock, NOWAIT_LOCK) != PY_LOCK_ACQUIRED) {
    if (self->holder == me) {
      PyErr_SetString(PyExc_RuntimeError,
                      "this function was called again from inside one of its own steps.\n"
                      "  Compile a second function for the inner call.");
      return -1;
    }
    if (self->generation != fork_generation) {
      /* The process was forked while another thread was in the call. */
      if ((self->lock = PyThread_allocate_lock()) == NULL) {
        PyErr_NoMemory();
        return -1;
      }
    }
    PyLockStatus status;
    do {
      Py_BEGIN_ALLOW_THREADS
      status = PyThread_acquire_lock_timed(self->lock, -1, 1);
      Py_END_ALLOW_THREADS
      if (status == PY_LOCK_INTR && PyErr_CheckSignals() < 0) return -1;
    } while (status != PY_LOCK_ACQUIRED);
  }
  self->holder = me;
  self->generation = fork_generation;
  return 0;
}

/* Lets go of what the call held. Arrays made by a failed call serve the next one. */
static void leave(Runner *self) {
  lease_end(self);
  for (Py_ssize_t i = 0; i < self->inputs.n; i++) Py_CLEAR(self->taken[i]);
  for (Py_ssize_t i = 0; i < self->outputs.n; i++) {
    if (self->made[i] == NULL) continue;
    PyArrayObject *old = self->spare[i];
    self->spare[i] = self->made[i];
    self->made[i] = NULL;
    Py_XDECREF(old);
  }
  self->holder = 0;
  PyThread_release_lock(self->lock);
}

/* Hands the new values to the shared variables, all of them: no Python runs here and nothing
   can fail. The old arrays take the place of the new ones among what `leave` keeps. */
static void commit(Runner *self) {
  for (Py_ssize_t i = 0; i < self->n_updates; i++) {
    PyObject *storage = PyTuple_GET_ITEM(self->storages, self->updates[i].shared);
    PyArrayObject **made = &self->made[self->updates[i].output];
    PyArrayObject *old = (PyArrayObject *)PyList_GET_ITEM(storage, 0);
    PyList_SET_ITEM(storage, 0, (PyObject *)*made);
    *made = old;
  }
}

static int all_made(Runner *self) {
  for (Py_ssize_t i = 0; i < self->outputs.n; i++) {
    if (self->made[i] != NULL) continue;
    PyErr_Format(PyExc_RuntimeError, "the program did not make its output %zd", i);
    return 0;
  }
  for (Py_ssize_t i = 0; i < self->n_updates; i++) {
    PyObject *storage = PyTuple_GET_ITEM(self->storages, self->updates[i].shared);
    if (PyList_GET_SIZE(storage) == 1) continue;
    PyErr_SetString(PyExc_RuntimeError, "a shared variable was taken apart during the call");
    return 0;
  }
  return 1;
}

/* Has Python raise for a failure that the program met. The exception is set on return. */
static void report(Runner *self, int code, wb_failure failure, PyObject *arguments) {
  PyObject *facts = Py_BuildValue("(iLLLL)", code, (long long)failure.node, (long long)failure.axis,
                                  (long long)failure.a, (long long)failure.b);
  if (facts == NULL) return;
  PyObject *result = PyObject_CallFunctionObjArgs(self->on_failure, facts, arguments, NULL);
  Py_DECREF(facts);
  if (result == NULL) return;
  Py_DECREF(result);
  PyErr_Format(PyExc_RuntimeError, "the program failed with code %d", code);
}

/* Runs the program on what was taken, and leaves. `list` receives the visible outputs, or is
   NULL for a single one. */
static PyObject *run_and_leave(Runner *self, PyObject *list) {
  PyObject *result = NULL, *arguments = NULL;
  wb_failure failure = {0, 0, 0, 0, 0};
  self->call.failure = failure;
  int code = self->program(&self->call, 0, self->n_steps);
  if (code == WB_OK && all_made(self)) {
    commit(self);
    for (Py_ssize_t i = 0; i < self->n_visible; i++) {
      Py_INCREF(self->made[i]);
      if (list == NULL) {
        result = (PyObject *)self->made[i];
        break;
      }
      PyList_SET_ITEM(list, i, (PyObject *)self->made[i]);
    }
    if (list != NULL) {
      Py_INCREF(list);
      result = list;
    }
  } else if (code == WB_HOST && !PyErr_Occurred()) {
    PyErr_SetString(PyExc_RuntimeError, "a host step failed without an exception");
  } else if (code != WB_OK && code != WB_HOST) {
    failure = self->call.failure;
    arguments = PyTuple_New(self->n_arguments);
    for (Py_ssize_t i = 0; arguments != NULL && i < self->n_arguments; i++) {
      Py_INCREF(self->taken[i]);
      PyTuple_SET_ITEM(arguments, i, (PyObject *)self->taken[i]);
    }
  }
  leave(self);
  if (arguments != NULL) {
    report(self, code, failure, arguments);
    Py_DECREF(arguments);
  }
  return result;
}

/* Lets Python make fitting arguments of others: numbers, lists, keywords, wrong dtypes. */
static PyObject *mend(Runner *self, PyObject *const *args, Py_ssize_t n, PyObject *names) {
  PyObject *fitting = NULL;
  PyObject *positional = PyTuple_New(n);
  PyObject *keywords = PyDict_New();
  if (positional == NULL || keywords == NULL) goto done;
  for (Py_ssize_t i = 0; i < n; i++) {
    Py_INCREF(args[i]);
    PyTuple_SET_ITEM(positional, i, args[i]);
  }
  for (Py_ssize_t i = 0; names != NULL && i < PyTuple_GET_SIZE(names); i++)
    if (PyDict_SetItem(keywords, PyTuple_GET_ITEM(names, i), args[n + i]) < 0) goto done;
  PyObject *answer =
      PyObject_CallFunctionObjArgs(self->on_mismatch, positional, keywords, NULL);
  if (answer == NULL) goto done;
  fitting = PySequence_Tuple(answer);
  Py_DECREF(answer);
  if (fitting != NULL && PyTuple_GET_SIZE(fitting) != self->n_arguments) {
    PyErr_Format(PyExc_TypeError, "expected %zd arguments, got %zd", self->n_arguments,
                 PyTuple_GET_SIZE(fitting));
    Py_CLEAR(fitting);
  }
done:
  Py_XDECREF(positional);
  Py_XDECREF(keywords);
  return fitting;
}

static PyObject *runner_call(PyObject *object, PyObject *const *args, size_t nargsf,
                             PyObject *names) {
  Runner *self = (Runner *)object;
  Py_ssize_t n = PyVectorcall_NARGS(nargsf);
  PyObject *result = NULL, *fitting = NULL, *list = NULL;
  if (!self->single && (list = PyList_New(self->n_visible)) == NULL) return NULL;
  int plain = n == self->n_arguments && (names == NULL || PyTuple_GET_SIZE(names) == 0);
  if (enter(self) < 0) goto done;
  Py_ssize_t stopped = plain ? take_arguments(self, args) : 0;
  if (stopped >= 0 && (!plain || stopped < self->n_arguments)) {
    leave(self); /* Python code may take its time, or call this function. */
    if ((fitting = mend(self, args, n, names)) == NULL || enter(self) < 0) goto done;
    stopped = take_arguments(self, PySequence_Fast_ITEMS(fitting));
    if (stopped >= 0 && stopped < self->n_arguments)
      PyErr_Format(PyExc_TypeError, "argument %U has the wrong type: %R",
                   PyTuple_GET_ITEM(self->names, stopped), PyTuple_GET_ITEM(fitting, stopped));
  }
  if (stopped != self->n_arguments || take_shared(self) < 0 || part_inputs(self) < 0)
    leave(self);
  else
    result = run_and_leave(self, list);
done:
  Py_XDECREF(fitting);
  Py_XDECREF(list);
  return result;
}

/* ---- The object ---------------------------------------------------------------------------- */

static void *zeros(Py_ssize_t n, size_t bytes) {
  void *memory = PyMem_Calloc((size_t)n + 1, bytes); /* never empty, so NULL means failure */
  if (memory == NULL) PyErr_NoMemory();
  return memory;
}

static void free_forms(Forms *forms) {
  for (Py_ssize_t i = 0; forms->form != NULL && i < forms->n; i++)
    Py_XDECREF(forms->form[i].descr);
  PyMem_Free(forms->form);
  forms->form = NULL;
}

/* Reads a tuple of (dtype, shape) pairs; a size of -1 is free. */
static int read_forms(PyObject *tuple, Forms *forms) {
  forms->n = PyTuple_GET_SIZE(tuple);
  if ((forms->form = zeros(forms->n, sizeof(Form))) == NULL) return -1;
  for (Py_ssize_t i = 0; i < forms->n; i++) {
    Form *form = &forms->form[i];
    PyObject *shape;
    if (!PyArg_ParseTuple(PyTuple_GET_ITEM(tuple, i), "O!O!", &PyArrayDescr_Type, &form->descr,
                          &PyTuple_Type, &shape)) {
      form->descr = NULL;
      return -1;
    }
    Py_INCREF(form->descr);
    form->type_num = form->descr->type_num;
    form->ndim = (int)PyTuple_GET_SIZE(shape);
    if (form->ndim > WB_MAX_DIMS) {
      PyErr_Format(PyExc_ValueError, "an array has %d axes; %d is the most", form->ndim,
                   WB_MAX_DIMS);
      return -1;
    }
    for (int d = 0; d < form->ndim; d++) {
      form->shape[d] = PyLong_AsSsize_t(PyTuple_GET_ITEM(shape, d));
      if (form->shape[d] == -1 && PyErr_Occurred()) return -1;
    }
  }
  return 0;
}

/* Reads a tuple of (step, forms of the inputs, forms of the outputs). */
static int read_host_steps(Runner *self, PyObject *tuple) {
  if ((self->host_step = zeros(self->n_steps, sizeof(HostStep *))) == NULL) return -1;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); i++) {
    Py_ssize_t step;
    PyObject *in, *out;
    if (!PyArg_ParseTuple(PyTuple_GET_ITEM(tuple, i), "nO!O!", &step, &PyTuple_Type, &in,
                          &PyTuple_Type, &out))
      return -1;
    if (step < 0 || step >= self->n_steps || self->host_step[step] != NULL) {
      PyErr_Format(PyExc_ValueError, "%zd is not the number of another host step", step);
      return -1;
    }
    HostStep *host = self->host_step[step] = zeros(1, sizeof(HostStep));
    if (host == NULL || read_forms(in, &host->in) < 0 || read_forms(out, &host->out) < 0 ||
        (host->kept = zeros(host->out.n, sizeof(PyArrayObject *))) == NULL)
      return -1;
  }
  return 0;
}

/* Reads a tuple of numbers below `limit`. */
static Py_ssize_t *read_numbers(PyObject *tuple, Py_ssize_t limit, Py_ssize_t *n) {
  *n = PyTuple_GET_SIZE(tuple);
  Py_ssize_t *number = zeros(*n, sizeof(Py_ssize_t));
  for (Py_ssize_t i = 0; number != NULL && i < *n; i++) {
    number[i] = PyLong_AsSsize_t(PyTuple_GET_ITEM(tuple, i));
    if (number[i] >= 0 && number[i] < limit) continue;
    if (!PyErr_Occurred()) PyErr_Format(PyExc_ValueError, "there is no number %zd", number[i]);
    PyMem_Free(number);
    return NULL;
  }
  return number;
}

static int read_updates(Runner *self, PyObject *tuple) {
  self->n_updates = PyTuple_GET_SIZE(tuple);
  if ((self->updates = zeros(self->n_updates, sizeof(Update))) == NULL) return -1;
  for (Py_ssize_t i = 0; i < self->n_updates; i++) {
    Update *update = &self->updates[i];
    if (!PyArg_ParseTuple(PyTuple_GET_ITEM(tuple, i), "nn", &update->shared, &update->output))
      return -1;
    if (update->shared < 0 || update->shared >= self->n_shared ||
        update->output < self->n_visible || update->output >= self->outputs.n) {
      PyErr_Format(PyExc_ValueError, "update (%zd, %zd) is out of range", update->shared,
                   update->output);
      return -1;
    }
  }
  return 0;
}

static int read_storages(Runner *self, PyObject *tuple) {
  Py_INCREF(tuple);
  self->storages = tuple;
  self->n_shared = PyTuple_GET_SIZE(tuple);
  for (Py_ssize_t i = 0; i < self->n_shared; i++) {
    if (PyList_Check(PyTuple_GET_ITEM(tuple, i))) continue;
    PyErr_SetString(PyExc_TypeError, "a shared variable's storage must be a list");
    return -1;
  }
  return 0;
}

static PyObject *runner_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
  static char *keywords[] = {"program", "module",   "names",    "inputs",     "storages",
                             "outputs", "updates",  "in_place", "host_steps", "n_visible",
                             "single",  "n_slots",  "n_values", "n_sizes",    "n_steps",
                             "host",    "on_mismatch", "on_failure", NULL};
  unsigned long long program;
  PyObject *module, *names, *inputs, *storages, *outputs, *updates, *in_place, *host_steps;
  PyObject *host, *on_mismatch, *on_failure;
  Py_ssize_t n_visible, n_slots, n_values, n_sizes, n_steps;
  int single;
  if (!PyArg_ParseTupleAndKeywords(
          args, kwargs, "KOO!O!O!O!O!O!O!npnnnnOOO", keywords, &program, &module, &PyTuple_Type,
          &names, &PyTuple_Type, &inputs, &PyTuple_Type, &storages, &PyTuple_Type, &outputs,
          &PyTuple_Type, &updates, &PyTuple_Type, &in_place, &PyTuple_Type, &host_steps,
          &n_visible, &single, &n_slots, &n_values, &n_sizes, &n_steps, &host, &on_mismatch,
          &on_failure))
    return NULL;
  Runner *self = (Runner *)type->tp_alloc(type, 0);
  if (self == NULL) return NULL;
  self->vectorcall = runner_call;
  self->program = (int (*)(wb_call *, int64_t, int64_t))(uintptr_t)program;
  self->module = Py_NewRef(module);
  self->names = Py_NewRef(names);
  self->host = Py_NewRef(host);
  self->on_mismatch = Py_NewRef(on_mismatch);
  self->on_failure = Py_NewRef(on_failure);
  self->n_visible = n_visible;
  self->n_slots = n_slots;
  self->n_steps = n_steps;
  self->single = single;
  wb_call *call = &self->call;
  call->owner = self;
  call->alloc = allocate;
  call->host = run_host;
  if (read_forms(inputs, &self->inputs) < 0 || read_forms(outputs, &self->outputs) < 0 ||
      read_storages(self, storages) < 0 || read_updates(self, updates) < 0 ||
      read_host_steps(self, host_steps) < 0 ||
      (self->in_place = read_numbers(in_place, self->n_shared, &self->n_in_place)) == NULL ||
      (call->input = zeros(self->inputs.n, sizeof(wb_array))) == NULL ||
      (call->output = zeros(self->outputs.n, sizeof(wb_array))) == NULL ||
      (call->slot = zeros(n_slots, sizeof(wb_slot))) == NULL ||
      (call->value = zeros(n_values, sizeof(void *))) == NULL ||
      (call->size = zeros(n_sizes, sizeof(int64_t))) == NULL ||
      (self->taken = zeros(self->inputs.n, sizeof(PyObject *))) == NULL ||
      (self->made = zeros(self->outputs.n, sizeof(PyObject *))) == NULL ||
      (self->spare = zeros(self->outputs.n, sizeof(PyObject *))) == NULL) {
    Py_DECREF(self);
    return NULL;
  }
  self->n_arguments = self->inputs.n - self->n_shared;
  if (self->n_arguments < 0 || n_visible > self->outputs.n || (single && n_visible != 1) ||
      PyTuple_GET_SIZE(names) != self->inputs.n) {
    PyErr_SetString(PyExc_ValueError, "the numbers of arguments, outputs and names disagree");
    Py_DECREF(self);
    return NULL;
  }
  if ((self->lock = PyThread_allocate_lock()) == NULL) {
    Py_DECREF(self);
    return PyErr_NoMemory();
  }
  return (PyObject *)self;
}

/* Everything that may lead back to the Runner: its callbacks mostly belong to the function
   that owns it. Arrays of numbers lead nowhere. */
static int runner_traverse(PyObject *object, visitproc visit, void *arg) {
  Runner *self = (Runner *)object;
  Py_VISIT(self->module);
  Py_VISIT(self->storages);
  Py_VISIT(self->host);
  Py_VISIT(self->on_mismatch);
  Py_VISIT(self->on_failure);
  return 0;
}

/* The module stays until the end: a cleared Runner may still be called. */
static int runner_clear(PyObject *object) {
  Runner *self = (Runner *)object;
  Py_INCREF(Py_None);
  Py_XSETREF(self->host, Py_None);
  Py_INCREF(Py_None);
  Py_XSETREF(self->on_mismatch, Py_None);
  Py_INCREF(Py_None);
  Py_XSETREF(self->on_failure, Py_None);
  return 0;
}

static void clear_arrays(PyArrayObject **array, Py_ssize_t n) {
  for (Py_ssize_t i = 0; array != NULL && i < n; i++) Py_CLEAR(array[i]);
  PyMem_Free(array);
}

static void runner_dealloc(PyObject *object) {
  Runner *self = (Runner *)object;
  PyObject_GC_UnTrack(object);
  clear_arrays(self->taken, self->inputs.n);
  clear_arrays(self->made, self->outputs.n);
  clear_arrays(self->spare, self->outputs.n);
  for (int64_t s = 0; self->host_step != NULL && s < self->n_steps; s++) {
    HostStep *host = self->host_step[s];
    if (host == NULL) continue;
    clear_arrays(host->kept, host->out.n);
    free_forms(&host->in);
    free_forms(&host->out);
    PyMem_Free(host);
  }
  PyMem_Free(self->host_step);
  for (Py_ssize_t i = 0; self->call.slot != NULL && i < self->n_slots; i++)
    free(self->call.slot[i].data); /* the program took it from the C library */
  PyMem_Free(self->call.input);
  PyMem_Free(self->call.output);
  PyMem_Free(self->call.slot);
  PyMem_Free(self->call.value);
  PyMem_Free(self->call.size);
  PyMem_Free(self->updates);
  PyMem_Free(self->in_place);
  free_forms(&self->inputs);
  free_forms(&self->outputs);
  Py_XDECREF(self->lease);
  Py_XDECREF(self->storages);
  Py_XDECREF(self->names);
  Py_XDECREF(self->host);
  Py_XDECREF(self->on_mismatch);
  Py_XDECREF(self->on_failure);
  Py_XDECREF(self->module);
  if (self->lock != NULL) PyThread_free_lock(self->lock);
  Py_TYPE(object)->tp_free(object);
}

static PyObject *get_kind(PyObject *self, void *closure) {
  (void)self;
  (void)closure;
  return PyUnicode_FromString("extension");
}

static PyGetSetDef runner_getset[] = {
    {"kind", get_kind, NULL, "How the program is called: \"extension\" or \"cffi\".", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyTypeObject runner_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "workbench_runner.Runner",
    .tp_doc = "A compiled program as a function of NumPy arrays.",
    .tp_basicsize = sizeof(Runner),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_new = runner_new,
    .tp_dealloc = runner_dealloc,
    .tp_traverse = runner_traverse,
    .tp_clear = runner_clear,
    .tp_call = PyVectorcall_Call,
    .tp_vectorcall_offset = offsetof(Runner, vectorcall),
    .tp_getset = runner_getset,
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT, .m_name = "workbench_runner", .m_size = -1};

PyMODINIT_FUNC PyInit_workbench_runner(void) {
  import_array();
  if (PyType_Ready(&runner_type) < 0) return NULL;
  pthread_atfork(NULL, NULL, count_fork);
  PyObject *module = PyModule_Create(&module_def);
  if (module == NULL) return NULL;
  if (PyModule_AddObjectRef(module, "Runner", (PyObject *)&runner_type) < 0) Py_CLEAR(module);
  return module;
}
