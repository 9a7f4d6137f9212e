//! The demo's sites: small projects of different make, analysed by the same rules as real ones.

use chrono::{DateTime, TimeDelta, Utc};
use domain::analysis::{Analysis, SourceFile, analyze};

use crate::{Result, simulation::NewSite};

pub struct DemoSite {
    pub new_site: NewSite,
    pub analysis: Analysis,
    pub popularity: f64,
}

/// Name, host, popularity, files.
type Sketch = (&'static str, &'static str, f64, &'static [(&'static str, &'static str)]);

const SKETCHES: &[Sketch] = &[
    (
        "Pantry Planner",
        "pantry-planner.example",
        0.17,
        &[
            (
                "package.json",
                r#"{"private":true,"scripts":{"build":"next build","start":"next start"},"dependencies":{"next":"15.1.0","react":"19.0.0","@prisma/client":"6.1.0","tailwindcss":"4.0.0"}}"#,
            ),
            ("app/page.tsx", "export default function Page() { return <main>What is for dinner?</main> }\n"),
            ("prisma/schema.prisma", "datasource db {\n  provider = \"postgresql\"\n  url = env(\"DATABASE_URL\")\n}\n"),
        ],
    ),
    (
        "Trail Notes",
        "trailnotes.example",
        0.14,
        &[
            ("requirements.txt", "Django==5.1\npsycopg==3.2\ngunicorn==23.0\nPillow==11.0\n"),
            ("manage.py", "import os\nfrom django.core.management import execute_from_command_line\n"),
            ("trails/models.py", "from django.db import models\n\nclass Trail(models.Model):\n    name = models.TextField()\n"),
        ],
    ),
    (
        "Ledgerline",
        "ledgerline.example",
        0.12,
        &[
            (
                "Cargo.toml",
                "[package]\nname = \"ledgerline\"\nversion = \"0.3.0\"\nedition = \"2024\"\n\n[dependencies]\naxum = \"0.8\"\nsqlx = { version = \"0.8\", features = [\"postgres\"] }\ntokio = \"1\"\n",
            ),
            ("src/main.rs", "fn main() { println!(\"ledgerline\"); }\n"),
        ],
    ),
    (
        "Studio Grid",
        "studiogrid.example",
        0.11,
        &[
            (
                "package.json",
                r#"{"scripts":{"build":"vite build"},"dependencies":{"react":"19.0.0","react-dom":"19.0.0","@mui/material":"6.3.0","styled-components":"6.1.0"},"devDependencies":{"vite":"6.0.0"}}"#,
            ),
            ("src/App.tsx", "export const App = () => <section className=\"grid\"/>\n"),
            ("src/theme.css", ":root { --accent: #ff5a36; --radius: 12px; }\n"),
        ],
    ),
    (
        "Queueboard",
        "queueboard.example",
        0.10,
        &[
            (
                "package.json",
                r#"{"scripts":{"start":"node server.js"},"dependencies":{"express":"5.0.1","pg":"8.13.0","ioredis":"5.4.0","socket.io":"4.8.0"}}"#,
            ),
            ("server.js", "const express = require('express');\nexpress().listen(3000);\n"),
        ],
    ),
    (
        "Field Reports",
        "fieldreports.example",
        0.08,
        &[
            ("package.json", r#"{"scripts":{"build":"nuxt build"},"dependencies":{"nuxt":"3.15.0","vue":"3.5.0","drizzle-orm":"0.38.0"}}"#),
            ("pages/index.vue", "<template><h1>Reports</h1></template>\n"),
            ("Dockerfile", "FROM node:22\nCMD [\"npm\", \"start\"]\n"),
        ],
    ),
    (
        "Quiet Reader",
        "quietreader.example",
        0.07,
        &[
            ("package.json", r#"{"scripts":{"build":"astro build"},"dependencies":{"astro":"5.1.0"}}"#),
            ("src/pages/index.astro", "<h1>Read more, scroll less</h1>\n"),
        ],
    ),
    (
        "Beacon Status",
        "beaconstatus.example",
        0.06,
        &[
            (
                "go.mod",
                "module example.com/beacon\n\ngo 1.23\n\nrequire (\n\tgithub.com/gin-gonic/gin v1.10.0\n\tgorm.io/gorm v1.25.12\n)\n",
            ),
            ("main.go", "package main\n\nfunc main() {}\n"),
        ],
    ),
    (
        "Orchard CRM",
        "orchardcrm.example",
        0.06,
        &[
            ("Gemfile", "source \"https://rubygems.org\"\ngem \"rails\", \"~> 8.0\"\ngem \"pg\"\ngem \"puma\"\n"),
            ("app/models/lead.rb", "class Lead < ApplicationRecord\nend\n"),
        ],
    ),
    (
        "Pocket Synth",
        "pocketsynth.example",
        0.04,
        &[
            (
                "package.json",
                r#"{"scripts":{"build":"vite build"},"dependencies":{"svelte":"5.16.0"},"devDependencies":{"@sveltejs/kit":"2.15.0","vite":"6.0.0"}}"#,
            ),
            ("src/routes/+page.svelte", "<h1>Synth</h1>\n"),
            ("src/app.css", "body { font-family: system-ui; }\n"),
        ],
    ),
    (
        "Rota",
        "rota.example",
        0.03,
        &[
            (
                "pyproject.toml",
                "[project]\nname = \"rota\"\nversion = \"0.1.0\"\ndependencies = [\"fastapi\", \"sqlalchemy\", \"uvicorn\"]\n",
            ),
            ("rota/main.py", "from fastapi import FastAPI\n\napp = FastAPI()\n"),
        ],
    ),
    (
        "Paper Lantern",
        "paperlantern.example",
        0.02,
        &[("composer.json", r#"{"require":{"laravel/framework":"^11.0"}}"#), ("routes/web.php", "<?php\nRoute::view('/', 'welcome');\n")],
    ),
    // nobody has visited it yet
    ("Tidepool", "tidepool.example", 0.0, &[("index.html", "<!doctype html><title>Tidepool</title><h1>Soon</h1>\n")]),
];

/// All of them; the first were there before the period, the others came in its first two thirds, the last yesterday.
pub fn all(from: DateTime<Utc>, to: DateTime<Utc>) -> Result<Vec<DemoSite>> {
    let step = (to - from) * 2 / 3 / i32::try_from(SKETCHES.len()).unwrap_or(1);
    let mut sites = Vec::new();
    for (index, &(name, host, popularity, files)) in SKETCHES.iter().enumerate() {
        let file = |&(path, content): &(&str, &str)| SourceFile {
            path: path.to_owned(),
            size: content.len() as u64,
            content: Some(content.to_owned()),
        };
        let analysis = analyze(&files.iter().map(file).collect::<Vec<_>>());
        let position = i32::try_from(index).unwrap_or(0);
        let created_at = match position {
            0..4 => from - TimeDelta::hours(i64::from(position) + 1),
            _ if popularity == 0.0 => to - TimeDelta::hours(22),
            _ => from + step * (position - 3),
        };
        let new_site = NewSite {
            user_ref: format!("demo-{host}"),
            name: name.to_owned(),
            url: Some(format!("https://{host}")),
            analysis: Some(serde_json::to_value(&analysis)?),
            created_at,
        };
        sites.push(DemoSite { new_site, analysis, popularity });
    }
    Ok(sites)
}
