/* files.c: what Node's fs lacks, as functions for JavaScript. A part of binding.c. */
#include <errno.h>
#if defined(__linux__)
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#if defined(__APPLE__)
int renamex_np(const char *, const char *, unsigned int);
#define SWAP_PATHS(a, b) renamex_np(a, b, 2 /* RENAME_SWAP */)
#elif defined(__linux__) && defined(SYS_renameat2)
#define SWAP_PATHS(a, b) (int)syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 2 /* RENAME_EXCHANGE */)
#else
#define SWAP_PATHS(a, b) (errno = ENOSYS, -1)
#endif

/* exchangePaths(a, b): 0, or the errno. Swaps two names in one step, as renameat2(2) with RENAME_EXCHANGE does. */
static napi_value exchange_paths(napi_env env, napi_callback_info info) {
  napi_value argv[2], result;
  char a[4096], b[4096];
  size_t na, nb;
  if (!arguments(env, info, 2, argv)) return NULL;
  if (napi_get_value_string_utf8(env, argv[0], a, sizeof a, &na) != napi_ok ||
      napi_get_value_string_utf8(env, argv[1], b, sizeof b, &nb) != napi_ok)
    return fail(env, "exchangePaths: expected two paths");
  if (na >= sizeof a - 1 || nb >= sizeof b - 1) return fail(env, "exchangePaths: a path is too long");
  napi_create_int32(env, SWAP_PATHS(a, b) == 0 ? 0 : errno, &result);
  return result;
}
