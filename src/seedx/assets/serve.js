// Escape stops what runs, from anywhere on the page; a slash goes to the message.
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    const stops = [...document.querySelectorAll("button.seedx-stop:not([disabled])")];
    (stops.find((button) => button.offsetParent !== null) ?? stops[0])?.click();
  } else if (event.key === "/" && !event.target.matches("input, textarea, [contenteditable]")) {
    const message = document.querySelector("#seedx-message textarea");
    if (message?.offsetParent) {
      event.preventDefault();
      message.focus();
    }
  }
});
