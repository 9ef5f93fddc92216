// Server-sent events: what has happened, whichever worker wrote it. A page that nobody looks at lets its connection go.
let source = null;

export function follow({ onOpen, onChange, onLost }) {
  const start = () => {
    if (source || document.hidden) return;
    source = new EventSource("/dashboard/events");
    source.addEventListener("open", onOpen);
    source.addEventListener("change", (event) => onChange(JSON.parse(event.data)));
    source.addEventListener("ended", () => location.assign("/dashboard"));
    source.addEventListener("error", () => {
      onLost();
      // Refused, and not tried again by the browser: the session has ended, or too many watch.
      if (source?.readyState === EventSource.CLOSED) {
        stop();
        setTimeout(start, 5000);
      }
    });
  };
  const stop = () => {
    source?.close();
    source = null;
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : start()));
  addEventListener("pagehide", stop);
  addEventListener("pageshow", start);
  start();
}
