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
 *   run      the program runs; it asks for memory (`allocate`), for a step of Python's (lend.h),
 *            for threads and for leave to go on (long.h)
 *   commit   every shared variable gets its new value, or none does
 *   leave    what the call held is let go
 *
 * The files it includes are put in their places when it is compiled.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_2_0_API_VERSION
#include <numpy/arrayobject.h>

#include "abi.h"
#include "pool.h"
#include "runner.h"
#include "strides.h"
#include "turns.h"
#include "long.h"
#include "lend.h"

/* ---- Memory of the call before --------------------------------------------------------------- */

/* Whether an array of the call before may be filled again: it looks as it should, owns its
   memory, and nobody else can see it. */
static int is_free(PyArrayObject *array, const Form *form, const npy_intp *shape) {
  return Py_REFCNT(array) == 1 && PyArray_DESCR(array) == form->descr &&
         PyArray_NDIM(array) == form->ndim &&
         PyArray_CompareLists(PyArray_DIMS(array), shape, form->ndim) &&
         PyArray_ISCARRAY(array) && PyArray_CHKFLAGS(array, NPY_ARRAY_OWNDATA) &&
         ((PyArrayObject_fields *)array)->weakreflist == NULL;
}

/* The array in `kept` if it is free, which then is the caller's, or a new one. */
static PyArrayObject *kept_or_new(PyArrayObject **kept, const Form *form, const npy_intp *shape) {
  PyArrayObject *array = *kept;
  *kept = NULL;
  if (array != NULL && is_free(array, form, shape)) return array;
  Py_XDECREF(array);
  Py_INCREF(form->descr);
  return (PyArrayObject *)PyArray_NewFromDescr(&PyArray_Type, form->descr, form->ndim, shape, NULL,
                                               NULL, 0, NULL);
}

/* ---- Arguments and shared variables -------------------------------------------------------- */

/* Strides in elements; that of an axis of one element is as if the array went on. */
static void tell_strides(wb_array *input, PyArrayObject *array) {
  npy_intp extent = 1;
  for (int d = PyArray_NDIM(array) - 1; d >= 0; d--) {
    if (PyArray_DIM(array, d) > 1) extent = PyArray_STRIDE(array, d) / PyArray_ITEMSIZE(array);
    input->stride[d] = extent;
    extent *= PyArray_DIM(array, d);
  }
}

static inline void take(Runner *self, Py_ssize_t index, PyArrayObject *array) {
  wb_array *input = &self->call.input[index];
  input->data = PyArray_DATA(array);
  const npy_intp *shape = PyArray_DIMS(array);
  for (int d = 0; d < PyArray_NDIM(array); d++) input->shape[d] = shape[d];
  if (self->inputs.form[index].strided) tell_strides(input, array);
  self->taken[index] = array;
}

/* A C-contiguous copy of an argument, in memory that is kept for the next call's. */
static PyArrayObject *straighten(Runner *self, Py_ssize_t index, PyArrayObject *array) {
  PyArrayObject **kept = &self->copies[index];
  PyArrayObject *copy = kept_or_new(kept, &self->inputs.form[index], PyArray_DIMS(array));
  if (copy == NULL) return NULL;
  if (copy_strided(copy, array, self->call.threads) < 0) {
    Py_DECREF(copy);
    return NULL;
  }
  Py_INCREF(copy);
  *kept = copy;
  return copy;
}

/* Takes the arguments; returns the index of the first that has not the right form, the
   number of arguments if all have, or -1 with an exception. With `strided` a large one that
   is not contiguous is not taken, and noted there. */
static Py_ssize_t take_arguments(Runner *self, PyObject *const *arguments, int *strided) {
  for (Py_ssize_t i = 0; i < self->n_arguments; i++) {
    PyArrayObject *array = (PyArrayObject *)arguments[i];
    const Form *form = &self->inputs.form[i];
    if (!PyArray_CheckExact(array) || !has_form(array, form)) return i;
    if (PyArray_ISCARRAY_RO(array) || (form->strided && has_layout(array, form)))
      Py_INCREF(array);
    else if (strided != NULL && self->on_strided != NULL && PyArray_NBYTES(array) >= self->worth) {
      *strided = 1;
      continue;
    } else if ((array = straighten(self, i, array)) == NULL)
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

/* ---- Memory for results ---------------------------------------------------------------------- */

static void *allocate(wb_call *call, int64_t index) {
  Runner *self = call->owner;
  come_back(self);
  const Form *form = &self->outputs.form[index];
  npy_intp shape[WB_MAX_DIMS];
  for (int d = 0; d < form->ndim; d++) shape[d] = (npy_intp)call->output[index].shape[d];
  PyArrayObject *array = kept_or_new(&self->spare[index], form, shape);
  if (array == NULL) {
    PyErr_Clear(); /* the program reports WB_OUT_OF_MEMORY */
    return NULL;
  }
  Py_XSETREF(self->made[index], array);
  return PyArray_DATA(array);
}

/* ---- The call ------------------------------------------------------------------------------ */

/* One call at a time; the thread that is in it would wait for itself. */
static int enter(Runner *self) {
  unsigned long me = PyThread_get_thread_ident();
  if (self->holder != 0 || queue != NULL) {
    if (self->holder == me) {
      PyErr_SetString(PyExc_RuntimeError,
                      "this function was called again from inside one of its own steps.\n"
                      "  Compile a second function for the inner call.");
      return -1;
    }
    if (self->holder != 0 && self->generation != fork_generation) give_up(self);
    if (wait_in_turn(self, me) < 0) return -1;
  }
  self->holder = me;
  self->generation = fork_generation;
  if (self->hosted) enqueue(self); /* its steps may let other threads run */
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
  dequeue(self);
}

/* Hands the new values to the shared variables, all of them: no Python runs here and nothing
   can fail. The old arrays take the place of the new ones among what `leave` keeps. A variable
   that was set during the call keeps what was set, as if that had come after the call. */
static void commit(Runner *self) {
  for (Py_ssize_t i = 0; i < self->n_updates; i++) {
    Py_ssize_t shared = self->updates[i].shared;
    PyObject *storage = PyTuple_GET_ITEM(self->storages, shared);
    PyArrayObject **made = &self->made[self->updates[i].output];
    PyArrayObject *old = (PyArrayObject *)PyList_GET_ITEM(storage, 0);
    if (old != self->taken[self->n_arguments + shared]) continue;
    PyList_SET_ITEM(storage, 0, (PyObject *)*made);
    *made = old;
  }
}

/* An array that is written in place must be seen by nobody else: not by a view or a borrowed
   value, nor by another thread that copies it just now. Else a copy takes its place. */
static int own_in_place(Runner *self) {
  for (Py_ssize_t k = 0; k < self->n_in_place; k++) {
    Py_ssize_t shared = self->in_place[k], index = self->n_arguments + shared;
    PyArrayObject *array = self->taken[index], *copy;
    PyObject *storage = PyTuple_GET_ITEM(self->storages, shared);
    int is_set = PyList_GET_SIZE(storage) != 1 ||
                 PyList_GET_ITEM(storage, 0) != (PyObject *)array;
    /* Two references: the storage's and this call's. */
    if (!is_set && Py_REFCNT(array) == 2 && PyArray_CHKFLAGS(array, NPY_ARRAY_OWNDATA)) continue;
    copy = is_set ? copy_of(array) : replace_shared(self, shared, array);
    if (copy == NULL) return -1;
    take(self, index, copy);
    Py_DECREF(array);
  }
  return 0;
}

/* Runs the program. Nothing else runs while it writes shared variables in place. */
static int run(Runner *self) {
  wb_call *call = &self->call;
  int64_t first = self->first_commit;
  call->failure = (wb_failure){0, 0, 0, 0, 0};
  call->committing = 0;
  self->looked = self->stopped = 0;
  if (first > 0) {
    int code = self->program(call, 0, first);
    come_back(self);
    if (self->stopped) return WB_STOPPED;
    if (code != WB_OK || first == self->n_steps) return code;
  }
  if (own_in_place(self) < 0) return WB_HOST;
  call->committing = 1;
  return self->program(call, first, self->n_steps);
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
  wb_failure failure;
  int code = run(self);
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
  } else if ((code == WB_HOST || code == WB_STOPPED) && !PyErr_Occurred()) {
    PyErr_SetString(PyExc_RuntimeError, code == WB_HOST
                                            ? "a host step failed without an exception"
                                            : "the process was forked in the middle of a loop");
  } else if (code != WB_OK && code != WB_HOST && code != WB_STOPPED) {
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

/* Has Python run the call without a copy of large arguments that are not contiguous. The result,
   NULL with an exception, or NotImplemented: they are to be copied. */
static PyObject *run_strided(Runner *self, PyObject *const *arguments) {
  PyObject *tuple = PyTuple_New(self->n_arguments);
  if (tuple == NULL) return NULL;
  for (Py_ssize_t i = 0; i < self->n_arguments; i++)
    PyTuple_SET_ITEM(tuple, i, Py_NewRef(arguments[i]));
  PyObject *answer = PyObject_CallFunctionObjArgs(self->on_strided, tuple, NULL);
  Py_DECREF(tuple);
  if (answer != NULL && answer != Py_NotImplemented) /* no copies will be needed */
    for (Py_ssize_t i = 0; i < self->n_arguments; i++) Py_CLEAR(self->copies[i]);
  return answer;
}

static PyObject *runner_call(PyObject *object, PyObject *const *args, size_t nargsf,
                             PyObject *names) {
  Runner *self = (Runner *)object;
  Py_ssize_t n = PyVectorcall_NARGS(nargsf);
  PyObject *result = NULL, *fitting = NULL, *list = NULL;
  if (!self->single && (list = PyList_New(self->n_visible)) == NULL) return NULL;
  int plain = n == self->n_arguments && (names == NULL || PyTuple_GET_SIZE(names) == 0);
  int strided = 0;
  if (enter(self) < 0) goto done;
  Py_ssize_t stopped = plain ? take_arguments(self, args, &strided) : 0;
  if (stopped >= 0 && (!plain || stopped < self->n_arguments)) {
    leave(self); /* Python code may take its time, or call this function. */
    if ((fitting = mend(self, args, n, names)) == NULL || enter(self) < 0) goto done;
    strided = 0;
    stopped = take_arguments(self, PySequence_Fast_ITEMS(fitting), &strided);
    if (stopped >= 0 && stopped < self->n_arguments)
      PyErr_Format(PyExc_TypeError, "argument %U has the wrong type: %R",
                   PyTuple_GET_ITEM(self->names, stopped), PyTuple_GET_ITEM(fitting, stopped));
  }
  if (strided && stopped == self->n_arguments) {
    PyObject *const *items = fitting == NULL ? args : PySequence_Fast_ITEMS(fitting);
    leave(self); /* Another program may take the call. */
    if ((result = run_strided(self, items)) != Py_NotImplemented) goto done;
    Py_CLEAR(result);
    if (enter(self) < 0) goto done;
    stopped = take_arguments(self, items, NULL);
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

#include "object.h"

static void forked(void) {
  forget_others();
  pool_forget();
}

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT, .m_name = "workbench_runner", .m_size = -1};

PyMODINIT_FUNC PyInit_workbench_runner(void) {
  import_array();
  if (PyType_Ready(&runner_type) < 0) return NULL;
  pthread_atfork(NULL, NULL, forked);
  PyObject *module = PyModule_Create(&module_def);
  if (module == NULL) return NULL;
  if (PyModule_AddObjectRef(module, "Runner", (PyObject *)&runner_type) < 0) Py_CLEAR(module);
  return module;
}
