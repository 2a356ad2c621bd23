// Entry point of a training thread: Piscina waits for the default export and calls it with each task.

import { workerData } from 'piscina';
import { createWorker } from '../src/parallel/worker.js';

// A worker that can't be made says so in its first task: that is where the pool looks for failures.
export default createWorker(workerData).catch((error: unknown) => () => {
  throw error;
});
