// Numbers, sizes and times as the reader's language writes them. What is not known is a dash.
import { language } from './prefs.js';

export const NOTHING = '–';

const made = new Map();

function formatter(kind, options) {
  const key = `${language.value} ${kind.name} ${JSON.stringify(options)}`;
  if (!made.has(key)) made.set(key, new kind(language.value === 'zh' ? 'zh-CN' : 'en', options));
  return made.get(key);
}

const known = (value) => value !== null && value !== undefined && !Number.isNaN(value);

export const number = (value, digits = 0, least = 0) =>
  known(value) ? formatter(Intl.NumberFormat, { maximumFractionDigits: digits, minimumFractionDigits: least }).format(value) : NOTHING;

export function compact(value) {
  if (!known(value)) return NOTHING;
  if (Math.abs(value) < 1000) return number(value, Math.abs(value) < 10 ? 1 : 0);
  return formatter(Intl.NumberFormat, { notation: 'compact', maximumFractionDigits: 1 }).format(value);
}

export const percent = (part, whole) =>
  whole > 0 ? formatter(Intl.NumberFormat, { style: 'percent', maximumFractionDigits: part < whole ? 1 : 0 }).format(floored(part / whole)) : NOTHING;

// 99.97 % is not 100 %.
const floored = (share) => Math.floor(share * 1000) / 1000;

export function bytes(value) {
  if (!known(value)) return NOTHING;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  let amount = value;
  while (amount >= 1024 && unit < units.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  return `${number(amount, amount < 10 && unit > 0 ? 1 : 0)} ${units[unit]}`;
}

// Milliseconds as a person says them: 120 ms, 0.9 s, 41 s, 2m 05s.
export function duration(value) {
  if (!known(value)) return NOTHING;
  if (value < 100) return `${Math.round(value)} ms`;
  if (value < 60000) return `${value < 9950 ? number(value / 1000, 1, 1) : number(value / 1000)} s`;
  return span(value / 1000);
}

// How many digits tell marks apart that lie so far from each other.
function digitsOf(increment) {
  let digits = 0;
  while (digits < 6 && Math.abs(increment * 10 ** digits - Math.round(increment * 10 ** digits)) > 1e-6) digits += 1;
  return digits;
}

// For the axis of a plot: all of its marks in one unit, none like another.
export function durationMarks(marks, increment) {
  const top = Math.max(...marks);
  if (top >= 60000) return marks.map((mark) => span(mark / 1000));
  const [size, unit] = top < 1000 ? [1, 'ms'] : [1000, 's'];
  const digits = digitsOf(increment / size);
  return marks.map((mark) => `${number(mark / size, digits, digits)} ${unit}`);
}

export const countMarks = (marks) => marks.map((mark) => (mark < 1000 ? number(mark) : formatter(Intl.NumberFormat, { notation: 'compact', maximumSignificantDigits: 3 }).format(mark)));

// Seconds of a long stretch, the two largest units.
export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  const pad = (value) => String(value).padStart(2, '0');
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m ${pad(s % 60)}s`;
  if (s < 86400) return `${Math.floor(s / 3600)}h ${pad(Math.floor((s % 3600) / 60))}m`;
  return `${Math.floor(s / 86400)}d ${Math.floor((s % 86400) / 3600)}h`;
}

const CLOCK = { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' };

export const parsed = (time) => (time ? Date.parse(time) : NaN);

export function clock(time) {
  return formatted(time, CLOCK);
}

export function moment(time) {
  return formatted(time, { year: 'numeric', month: 'short', day: 'numeric', ...CLOCK });
}

// With the day only when it is another one.
export function brief(time) {
  const same = new Date(time).toDateString() === new Date().toDateString();
  return same ? clock(time) : formatted(time, { month: 'short', day: 'numeric', ...CLOCK, second: undefined });
}

function formatted(time, options) {
  const at = typeof time === 'number' ? time : parsed(time);
  return Number.isFinite(at) ? formatter(Intl.DateTimeFormat, options).format(at) : NOTHING;
}

// For the axis of a plot: seconds since 1970, and how many seconds lie between two marks.
export function tick(seconds, increment) {
  if (increment >= 86400) return formatted(seconds * 1000, { month: 'short', day: 'numeric' });
  const midnight = new Date(seconds * 1000).getHours() === 0 && new Date(seconds * 1000).getMinutes() === 0;
  if (midnight) return formatted(seconds * 1000, { month: 'short', day: 'numeric' });
  return formatted(seconds * 1000, { hour: '2-digit', minute: '2-digit', second: increment < 60 ? '2-digit' : undefined, hourCycle: 'h23' });
}
