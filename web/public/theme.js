// A classic script, so that a remembered theme is there before the first paint.
try {
  const theme = localStorage.getItem("bozzetto-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // No storage: the system's theme it is.
}
