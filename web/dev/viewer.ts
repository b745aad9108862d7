// Files are dropped onto the page, or named in its query.

const viewer = document.querySelector("bozzetto-viewer")!;
for (const [name, value] of new URLSearchParams(location.search)) viewer.setAttribute(name, value);

addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  const file = event.dataTransfer?.files[0];
  if (file)
    viewer.setAttribute(file.name.endsWith(".ply") ? "points" : "mesh", URL.createObjectURL(file));
});
