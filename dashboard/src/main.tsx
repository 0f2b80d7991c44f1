// The dashboard: what a node's mesh does now, and did in the last hour.
import { render } from "preact";
import { Dashboard } from "./dashboard";

const root = document.getElementById("dashboard");
if (root) render(<Dashboard />, root);
