/* memory.c: what Node lacks to keep a long run's memory flat. A part of binding.c. */
#if defined(__GLIBC__)
#include <malloc.h>
#endif

/* trimMemory(): gives memory that was freed back to the system. glibc's malloc keeps what lies below a block still in use,
 * up to 100 MB after an hour of small saves; see malloc_trim(3). Elsewhere it does nothing. */
static napi_value trim_memory(napi_env env, napi_callback_info info) {
  (void)env;
  (void)info;
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
  return NULL;
}
