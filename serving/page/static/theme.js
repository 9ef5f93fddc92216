// Before the first paint, so that a dark screen does not flash white. Without a choice the system's holds.
(() => {
  const root = document.documentElement;
  let chosen = null;
  try { chosen = localStorage.getItem("fankui-theme"); } catch { /* storage is off */ }
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
})();
