/* kernels.c: every kernel of one instruction set against plain loops in double precision. The same flags as the addon's:
 *   cc <flags of all.c> -DISA=<name> -c kernels.c; cc <flags of exact.c> -DISA=<name> -c exact.c; both linked with -lm
 * Prints a line for each failed check, then `kernels <name>: N checks`; exit code 1 if any failed. */
#include "../../native/kernels/all.c"

#if !defined(__clang__)
#pragma GCC optimize("O1") /* the loops below needn't be fast, but quickly compiled; kernels keep their own level */
#endif
#include "check.h"

size_t checks = 0, failures = 0;
char subject[200];
uint64_t random_state = 20240607;

#include "vectors.c"
#include "gemm.c"
#include "packing.c"
#include "rows.c"
#include "rmsnorm.c"
#include "rope.c"
#include "loss.c"
#include "attention.c"
#include "int8.c"

void check_exact(void);

int main(void) {
  check_vectors();
  check_gemm();
  check_packing();
  check_rows();
  check_rmsnorm();
  check_rope();
  check_loss();
  check_attention();
  check_int8();
  check_exact();
  if (failures > 0) printf("kernels %s: %zu of %zu checks FAILED\n", NAME(ISA), failures, checks);
  else printf("kernels %s: %zu checks\n", NAME(ISA), checks);
  return failures > 0;
}
