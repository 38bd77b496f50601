// Runs before anything is drawn, so that a chosen theme does not flash.
try {
  const theme = localStorage.getItem('claude-proxy.theme');
  if (theme === 'dark' || theme === 'light') document.documentElement.dataset.theme = theme;
} catch {
  // Without storage the system's theme is right.
}
