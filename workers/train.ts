// Entry point of a training thread: Piscina calls the default export with each task.

import { workerData } from 'piscina';
import { createWorker } from '../src/parallel/worker.js';

export default createWorker(workerData);
