// What the reader chose for this browser. Without storage the choice lasts as long as the page.
import { effect, signal } from './ui.js';

function stored(name, values, fallback) {
  let kept;
  try {
    kept = localStorage.getItem(`claude-proxy.${name}`);
  } catch {
    // Not allowed here; the fallback it is.
  }
  const chosen = signal(values.includes(kept) ? kept : fallback);
  effect(() => {
    const value = chosen.value;
    try {
      localStorage.setItem(`claude-proxy.${name}`, value);
    } catch {
      // As above.
    }
  });
  return chosen;
}

export const THEMES = ['auto', 'dark', 'light'];
export const LANGUAGES = ['en', 'zh'];

export const theme = stored('theme', THEMES, 'auto');
export const language = stored('language', LANGUAGES, /^zh\b/i.test(navigator.language) ? 'zh' : 'en');
export const follow = stored('follow', ['on', 'off'], 'on');

effect(() => {
  const root = document.documentElement;
  if (theme.value === 'auto') delete root.dataset.theme;
  else root.dataset.theme = theme.value;
});
effect(() => {
  document.documentElement.lang = language.value === 'zh' ? 'zh-CN' : 'en';
});
