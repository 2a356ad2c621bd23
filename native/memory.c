/* memory.c: memory as the kernels want it, aligned and in huge pages, and what Node lacks to keep a long run's memory flat. A part
 * of binding.c. */
#include <sys/mman.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#define ALIGNMENT 64
#define HUGE_PAGE ((size_t)2 << 20)

/* Large memory that is read and written from end to end: in pages of 2 MB where the system has them for whoever asks (on Linux,
 * "madvise" or "always" in /sys/kernel/mm/transparent_hugepage/enabled), so that hardly an access misses the table of pages. */
static void prefer_huge(void *start, size_t bytes) {
#if defined(MADV_HUGEPAGE)
  const uintptr_t first = ((uintptr_t)start + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
  const uintptr_t end = ((uintptr_t)start + bytes) / HUGE_PAGE * HUGE_PAGE;
  /* Advice: where it isn't taken, everything works with small pages. */
  if (end > first) (void)madvise((void *)first, end - first, MADV_HUGEPAGE);
#else
  (void)start;
  (void)bytes;
#endif
}

static void *aligned_floats(size_t floats) {
  const size_t bytes = (floats * sizeof(float) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  void *p = aligned_alloc(ALIGNMENT, bytes > 0 ? bytes : ALIGNMENT);
  if (p) prefer_huge(p, bytes);
  return p;
}
static bool is_aligned(const void *p) { return (uintptr_t)p % ALIGNMENT == 0; }

/* alignmentGap(Uint8Array): bytes from its start to the next multiple of 64 in memory. */
static napi_value alignment_gap(napi_env env, napi_callback_info info) {
  napi_value argv[1], result;
  struct view bytes;
  if (!arguments(env, info, 1, argv) || !view_of(env, argv[0], napi_uint8_array, "bytes", &bytes)) return NULL;
  napi_create_double(env, (double)((ALIGNMENT - (uintptr_t)bytes.data % ALIGNMENT) % ALIGNMENT), &result);
  return result;
}

/* preferHugePages(Uint8Array): see prefer_huge. */
static napi_value prefer_huge_pages(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  struct view bytes;
  if (!arguments(env, info, 1, argv) || !view_of(env, argv[0], napi_uint8_array, "bytes", &bytes)) return NULL;
  prefer_huge(bytes.data, bytes.length);
  return NULL;
}

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
