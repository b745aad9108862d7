import { useState } from "react";
import type { Job } from "./elements";

export function App({ server }: { server: string }) {
  const [said, setSaid] = useState("Choose a picture.");
  const [jobs, setJobs] = useState<Job[]>([]);
  const [turning, setTurning] = useState(false);

  function done(job: Job) {
    setSaid(job.error ? `${job.error.detail} ${job.error.hint ?? ""}` : `The job ${job.status}.`);
    setJobs((before) => [job, ...before]);
  }

  return (
    <main>
      <bozzetto-upload
        server={server}
        for="object"
        outputs="points.ply,mesh.glb"
        onbozzetto-progress={(event) => {
          const { stage, percent } = event.detail.progress;
          setSaid(`${stage}, ${Math.round(percent)} %`);
        }}
        onbozzetto-done={(event) => done(event.detail.job)}
        onbozzetto-error={(event) => setSaid(event.detail.error.message)}
      />
      <bozzetto-viewer id="object" label="The object" turntable={turning} />
      <label>
        <input type="checkbox" checked={turning} onChange={() => setTurning(!turning)} /> turn it
      </label>
      <p role="status">{said}</p>
      <ul>
        {jobs.map((job) => (
          <li key={job.id}>
            {job.id}: {job.status}, {job.artifacts.map(({ name }) => name).join(", ") || "no files"}
          </li>
        ))}
      </ul>
    </main>
  );
}
