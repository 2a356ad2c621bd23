/* arguments.h: from JavaScript values to C; whatever doesn't fit becomes a RangeError with code ERR_LOOM_NATIVE. */
#ifndef LOOM_ARGUMENTS_H
#define LOOM_ARGUMENTS_H

#include <node_api.h>
#include <stdio.h>

static napi_value fail(napi_env env, const char *message) {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (!pending) napi_throw_range_error(env, "ERR_LOOM_NATIVE", message);
  return NULL;
}

/* All arguments of a call; false (with an exception) unless there are exactly n. */
static bool arguments(napi_env env, napi_callback_info info, size_t n, napi_value *argv) {
  size_t argc = n;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) == napi_ok && argc == n) return true;
  char text[96];
  snprintf(text, sizeof text, "expected %zu arguments, got %zu", n, argc);
  fail(env, text);
  return false;
}

/* A view of a typed array of the given type; null array and n = 0 if it is something else. */
struct view {
  void *data;
  size_t length;
};
static bool view_of(napi_env env, napi_value value, napi_typedarray_type type, const char *name, struct view *view) {
  napi_typedarray_type found;
  bool is_array = false;
  napi_is_typedarray(env, value, &is_array);
  if (is_array &&
      napi_get_typedarray_info(env, value, &found, &view->length, &view->data, NULL, NULL) == napi_ok && found == type)
    return true;
  char text[96];
  snprintf(text, sizeof text, "%s is not a typed array of the expected type", name);
  fail(env, text);
  return false;
}

static bool number_of(napi_env env, napi_value value, double *number) {
  return napi_get_value_double(env, value, number) == napi_ok || (fail(env, "expected a number"), false);
}
/* A whole number from 0 to 2^31 - 1. */
static bool size_of(napi_env env, napi_value value, size_t *size) {
  double number;
  if (!number_of(env, value, &number)) return false;
  if (!(number >= 0 && number <= 2147483647.0) || number != (double)(size_t)number) {
    fail(env, "expected a whole number from 0 to 2^31 - 1");
    return false;
  }
  *size = (size_t)number;
  return true;
}

#endif
