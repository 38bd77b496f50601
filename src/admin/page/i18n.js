// Words in the reader's language. A dictionary is flat, a key a line; `{name}` takes a value, `one|many` follows `{n}`.
import en from './i18n/en.js';
import zh from './i18n/zh.js';
import { language } from './prefs.js';

const DICTIONARIES = { en, zh };

export function t(key, values) {
  const text = DICTIONARIES[language.value][key] ?? en[key] ?? key;
  return values ? fill(choose(text, values.n), values) : text;
}

// For words that come from the proxy: one that is new to us shows as it is.
export function word(group, value) {
  const key = `${group}.${value}`;
  return key in en ? t(key) : String(value ?? '').replaceAll('_', ' ');
}

function choose(text, n) {
  if (!text.includes('|')) return text;
  const [one, many] = text.split('|');
  return Number(n) === 1 ? one : many;
}

function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(shown(values[name])) : whole));
}

const shown = (value) => (typeof value === 'number' ? value.toLocaleString(language.value) : value);
