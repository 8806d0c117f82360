/* The Runner as a Python object: made from a plan (runner.py), collected, freed. */

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

/* Reads for each argument whether, and how, it need not be contiguous. */
static int read_layouts(Runner *self, PyObject *tuple) {
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple) && i < self->inputs.n; i++) {
    long layout = PyLong_AsLong(PyTuple_GET_ITEM(tuple, i));
    if (layout == -1 && PyErr_Occurred()) return -1;
    self->inputs.form[i].strided = (int)layout;
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

/* Marks the shared variables that calls change. */
static char *read_changes(const Runner *self) {
  char *changes = zeros(self->n_shared, 1);
  for (Py_ssize_t i = 0; changes != NULL && i < self->n_updates; i++)
    changes[self->updates[i].shared] = 1;
  for (Py_ssize_t i = 0; changes != NULL && i < self->n_in_place; i++)
    changes[self->in_place[i]] = 1;
  return changes;
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
                             "first_commit", "threads",
                             "host",    "on_mismatch", "on_failure", "strided", "on_strided",
                             "worth",   NULL};
  unsigned long long program;
  PyObject *module, *names, *inputs, *storages, *outputs, *updates, *in_place, *host_steps;
  PyObject *host, *on_mismatch, *on_failure, *strided, *on_strided;
  Py_ssize_t n_visible, n_slots, n_values, n_sizes, n_steps, first_commit, threads, worth;
  int single;
  if (!PyArg_ParseTupleAndKeywords(
          args, kwargs, "KOO!O!O!O!O!O!O!npnnnnnnOOOO!On", keywords, &program, &module, &PyTuple_Type,
          &names, &PyTuple_Type, &inputs, &PyTuple_Type, &storages, &PyTuple_Type, &outputs,
          &PyTuple_Type, &updates, &PyTuple_Type, &in_place, &PyTuple_Type, &host_steps,
          &n_visible, &single, &n_slots, &n_values, &n_sizes, &n_steps, &first_commit,
          &threads, &host, &on_mismatch, &on_failure, &PyTuple_Type, &strided, &on_strided,
          &worth))
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
  self->on_strided = on_strided == Py_None ? NULL : Py_NewRef(on_strided);
  self->worth = worth;
  self->n_visible = n_visible;
  self->n_slots = n_slots;
  self->n_steps = n_steps;
  /* Step 0 settles sizes and memory and lets nobody in: it may run with steps that commit. */
  self->first_commit = first_commit > 1 || PyTuple_GET_SIZE(in_place) == 0 ? first_commit : 0;
  self->hosted = PyTuple_GET_SIZE(host_steps) > 0;
  self->single = single;
  wb_call *call = &self->call;
  call->owner = self;
  call->alloc = allocate;
  call->host = run_host;
  call->split = split_loop;
  call->pause = pause_call;
  call->threads = threads < 1 ? 1 : threads > POOL_MAX_THREADS ? POOL_MAX_THREADS : threads;
  if (read_forms(inputs, &self->inputs) < 0 || read_forms(outputs, &self->outputs) < 0 ||
      read_layouts(self, strided) < 0 || read_storages(self, storages) < 0 || read_updates(self, updates) < 0 ||
      read_host_steps(self, host_steps) < 0 ||
      (self->in_place = read_numbers(in_place, self->n_shared, &self->n_in_place)) == NULL ||
      (self->changes = read_changes(self)) == NULL ||
      (call->input = zeros(self->inputs.n, sizeof(wb_array))) == NULL ||
      (call->output = zeros(self->outputs.n, sizeof(wb_array))) == NULL ||
      (call->slot = zeros(n_slots, sizeof(wb_slot))) == NULL ||
      (call->value = zeros(n_values, sizeof(void *))) == NULL ||
      (call->size = zeros(n_sizes, sizeof(int64_t))) == NULL ||
      (self->taken = zeros(self->inputs.n, sizeof(PyObject *))) == NULL ||
      (self->made = zeros(self->outputs.n, sizeof(PyObject *))) == NULL ||
      (self->copies = zeros(self->inputs.n, sizeof(PyObject *))) == NULL ||
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
  Py_VISIT(self->on_strided);
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
  Py_CLEAR(self->on_strided);
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
  clear_arrays(self->copies, self->inputs.n);
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
  PyMem_Free(self->changes);
  free_forms(&self->inputs);
  free_forms(&self->outputs);
  Py_XDECREF(self->lease);
  Py_XDECREF(self->storages);
  Py_XDECREF(self->names);
  Py_XDECREF(self->host);
  Py_XDECREF(self->on_mismatch);
  Py_XDECREF(self->on_failure);
  Py_XDECREF(self->on_strided);
  Py_XDECREF(self->module);
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

