// How many processors there are, and how many of them this process may use: affinity and the quota of its cgroup count.
// A quota matters as much as the number of cores: threads beyond it are stopped for most of each period.

import { availableParallelism, cpus } from 'node:os';
import { dirname } from 'node:path';
import { type MachineSource, thisMachine } from './source.js';

export interface Cores {
  /** Cores in the machine; two hardware threads of one core count once. */
  readonly physical: number;
  /** Hardware threads in the machine. */
  readonly logical: number;
  /** Physical cores that this process may run on at once, at least 1. */
  readonly usablePhysical: number;
  /** Hardware threads that this process may run on at once, at least 1. */
  readonly usableLogical: number;
  /** Processors' worth of time that the cgroup grants, or null without a limit. */
  readonly quota: number | null;
}

/** Physical cores that this process may use: the best number of workers, since two on one core share its vector units. */
export function physicalCores(): number {
  return countCores().usablePhysical;
}

/** Hardware threads that this process may use. */
export function availableCores(): number {
  return countCores().usableLogical;
}

export function countCores(source: MachineSource = thisMachine): Cores {
  const processors = source.platform === 'linux' ? linuxProcessors(source) : [];
  if (processors.length === 0) return countWithoutList(source);
  const allowed = allowedProcessors(source) ?? new Set(processors.map(({ id }) => id));
  const usable = processors.filter(({ id }) => allowed.has(id));
  const quota = source.platform === 'linux' ? cgroupQuota(source) : null;
  return {
    physical: countDistinct(processors),
    logical: processors.length,
    usablePhysical: limited(countDistinct(usable), quota),
    usableLogical: limited(usable.length, quota),
    quota,
  };
}

/** macOS knows no affinity and no cgroups; for other systems Node's own count has to do. */
function countWithoutList(source: MachineSource): Cores {
  const logical = Number(source.sysctl('hw.logicalcpu')) || cpus().length || availableParallelism();
  const physical = Number(source.sysctl('hw.physicalcpu')) || logical;
  const usableLogical = Math.min(logical, availableParallelism());
  return { physical, logical, usablePhysical: Math.min(physical, usableLogical), usableLogical, quota: null };
}

interface Processor {
  readonly id: number;
  /** The same for the hardware threads of one core. */
  readonly core: string;
}

/** Blocks of /proc/cpuinfo. Where it names no cores (ARM), each processor is one. */
function linuxProcessors(source: MachineSource): Processor[] {
  const blocks = (source.readText('/proc/cpuinfo') ?? '').split(/\n\s*\n/);
  return blocks.flatMap((block) => {
    const id = field(block, 'processor');
    if (id === null) return [];
    const core = field(block, 'core id');
    return [{ id: Number(id), core: core === null ? `processor ${id}` : `${field(block, 'physical id')}:${core}` }];
  });
}

function field(block: string, name: string): string | null {
  return new RegExp(`^${name}\\s*:\\s*(\\S+)`, 'm').exec(block)?.[1] ?? null;
}

function countDistinct(processors: readonly Processor[]): number {
  return new Set(processors.map(({ core }) => core)).size;
}

/** Whole processors: a thread that gets only part of its time makes all others wait at the barrier. */
function limited(count: number, quota: number | null): number {
  return Math.max(1, quota === null ? count : Math.min(count, Math.floor(quota)));
}

function allowedProcessors(source: MachineSource): Set<number> | null {
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(source.readText('/proc/self/status') ?? '')?.[1];
  return list === undefined ? null : parseList(list);
}

/** `0-3,8` -> 0, 1, 2, 3, 8. */
function parseList(list: string): Set<number> {
  const ids = new Set<number>();
  for (const range of list.split(',')) {
    const [first, last = first] = range.split('-').map(Number);
    for (let id = first; id <= last; id++) ids.add(id);
  }
  return ids;
}

/** The tightest limit of the process's cgroup and those above it, in processors; version 2 and version 1. */
function cgroupQuota(source: MachineSource): number | null {
  const limits = (source.readText('/proc/self/cgroup') ?? '').split('\n').flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === '') return ancestors(path).map((folder) => quotaVersion2(source, folder));
    if (controllers?.split(',').includes('cpu')) return ancestors(path).map((folder) => quotaVersion1(source, folder));
    return [];
  });
  const finite = limits.filter((limit) => limit !== null);
  return finite.length === 0 ? null : Math.min(...finite);
}

/** `/a/b` -> `/a/b`, `/a`, ``: inside a container only the last one may be visible. */
function ancestors(path: string): string[] {
  return path === '/' || path === '.' ? [''] : [path, ...ancestors(dirname(path))];
}

function quotaVersion2(source: MachineSource, folder: string): number | null {
  const [quota, period] = (source.readText(`/sys/fs/cgroup${folder}/cpu.max`) ?? 'max').trim().split(' ');
  return ratio(quota, period);
}

function quotaVersion1(source: MachineSource, folder: string): number | null {
  for (const mount of ['/sys/fs/cgroup/cpu', '/sys/fs/cgroup/cpu,cpuacct']) {
    const quota = source.readText(`${mount}${folder}/cpu.cfs_quota_us`);
    const period = source.readText(`${mount}${folder}/cpu.cfs_period_us`);
    if (quota !== null && period !== null) return ratio(quota, period);
  }
  return null;
}

/** Null for `max` and -1, which mean no limit. */
function ratio(quota: string, period: string): number | null {
  const value = Number(quota) / Number(period);
  return Number.isFinite(value) && value > 0 ? value : null;
}
