// Escape stops what runs, from anywhere on the page.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const stops = [...document.querySelectorAll("button.seedx-stop:not([disabled])")];
  const stop = stops.find((button) => button.offsetParent !== null) ?? stops[0];
  if (stop) stop.click();
});
