import { createRoot } from "react-dom/client";
import { App } from "./App";
import { loadElements } from "./elements";
import "./style.css";

const SERVER = import.meta.env.VITE_BOZZETTO_SERVER ?? "http://127.0.0.1:8000";

loadElements(SERVER);
createRoot(document.getElementById("root")!).render(<App server={SERVER} />);
