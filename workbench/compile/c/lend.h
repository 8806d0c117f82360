/* Memory lent to Python: the steps of a program that Python computes.
 *
 * The inputs of a host step are views of memory that the program will use again. A host
 * function may keep such a view; so does the traceback of an exception. Every view of a call
 * has the call's lease as its base: while one of them lives, the memory under it does too.
 * Its contents may change, but it can always be read.
 */
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

/* ---- A step ----------------------------------------------------------------------------------- */

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
  come_back(self);
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
