# Parlour: `make chat` and `make test` are all the set-up there is. `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Where the server listens, and further public names for its certificate (HOST=chat.example.org).
LISTEN ?= 127.0.0.1:7275
HOST ?=
PROGRAMS := parlour parlour-server parlour-ttp
PROGRAM_CRATES := parlour-client parlour-server parlour-ttp

export LISTEN HOST

.PHONY: help
help: ## List what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: programs
programs:
	@cargo build --release --locked --bins $(addprefix --package ,$(PROGRAM_CRATES))
	@mkdir -p bin
	@for program in $(PROGRAMS); do \
		cmp -s "target/release/$$program" "bin/$$program" || install "target/release/$$program" bin/; \
	done

.PHONY: all
all: programs ## Build the programs into bin/, and mint keys and certificates if missing
	@scripts/mint.sh

.PHONY: chat
chat: all ## Start TTP and server if they are not running, and open the client
	@scripts/start.sh
	@exec bin/parlour "$${HOST:-localhost}:$${LISTEN##*:}" --ca keys/ttp/ca.crt --keys keys/clients

.PHONY: server
server: all ## Run TTP and server in the foreground (LISTEN=, HOST= for a public name)
	@scripts/foreground.sh

.PHONY: client
client: programs ## Open the client alone (HOST=)
	@exec bin/parlour $(if $(HOST),"$(HOST)") --keys keys/clients

.PHONY: stop
stop: ## Stop the TTP and server that run here
	@scripts/stop.sh

.PHONY: demo
demo: programs ## Two users chat, publicly and privately; the transcript is printed
	@scripts/demo.sh

.PHONY: test
test: ## Run every test
	@cargo build --workspace --locked --bins
	@cargo test --workspace --locked

.PHONY: lint
lint: ## Check format, lints, dependencies (ADVISORIES= a clone of RustSec's database), and print sizes
	@cargo fmt --all --check
	@cargo clippy --workspace --locked --all-targets --quiet -- -D warnings
	@cargo metadata --locked --format-version 1 --manifest-path fuzz/Cargo.toml > /dev/null
	@scripts/directions.sh
	@scripts/wasm.sh
	@scripts/deny.sh
	@scripts/sizes.sh

.PHONY: tls-check
tls-check: programs ## Let testssl.sh and sslyze judge a running server; fails below their best for TLS 1.3
	@scripts/tls-check.sh

.PHONY: sbom
sbom: ## List the components of each program (CycloneDX) in target/sbom
	@scripts/sbom.sh

.PHONY: ship
ship: ## Build the programs for distribution into dist/, dependencies listed inside (PROFILE=ship, PACKAGES=)
	@scripts/ship.sh

.PHONY: reproduce
reproduce: ## Build the programs for distribution twice, in different folders, and compare (PROFILE=, PACKAGES=)
	@scripts/reproduce.sh

.PHONY: bench
bench: ## Measure the server against the practical limit (QUICK=1 for two minutes, ONLY=name, PEERS=1 for ngircd and nats-server too)
	@cargo build --release --locked --bins
	@target/release/parlour-bench $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY)) $(if $(PEERS),--peers)

.PHONY: micro
micro: ## Time each hot path: reading, writing, sealing, opening, delivering, committing
	@cargo bench --locked --package parlour-bench --bench micro

.PHONY: instructions
instructions: ## Count the hot paths' instructions; fails on a rise of 10 % (UPDATE=1 writes; needs valgrind)
	@cargo build --release --locked --package parlour-bench --bin instructions
	@target/release/instructions $(if $(UPDATE),update,check)

.PHONY: flame
flame: ## Draw a flame graph of the server (ONLY=direct_pingpong; needs perf and inferno)
	@scripts/flame.sh $(or $(ONLY),direct_pingpong)

.PHONY: fuzz
fuzz: ## Run each fuzz target for SECONDS=60, or RUNS=n executions (ONLY=, KEEP=1, SANITIZER=; needs cargo-fuzz)
	@SECONDS_EACH=$(or $(SECONDS),60) RUNS=$(RUNS) ONLY="$(ONLY)" KEEP=$(KEEP) SANITIZER=$(SANITIZER) scripts/fuzz.sh

# The long runs that `make test` has no time for; docs/reliability.md has their results. With PART, one of them.
SOAKS := soak-kills soak-aside soak-lines soak-peers soak-hostile

.PHONY: soak
soak: $(if $(PART),soak-$(PART),$(SOAKS)) ## All long runs: kills, failing disks, fuzzed lines, vanished peers, hostile clients (PART=kills)

.PHONY: soak-programs
soak-programs:
	@cargo build --release --locked --bins

# The end-to-end tests with the released programs; the variables before this make single tests run longer.
soak_test = PARLOUR_BIN=$(CURDIR)/target/release cargo test --locked --package parlour-tests --test e2e

.PHONY: soak-kills
soak-kills: soak-programs ## Kill the server KILLS=200 times under load: nothing lost, doubled or reordered
	@time PARLOUR_KILLS=$(or $(KILLS),200) $(soak_test) server_is_killed -- --nocapture

.PHONY: soak-aside
soak-aside: soak-programs ## Kill the client at every write while it sets things aside, and let each of them fail
	@time PARLOUR_FAULTS=all $(soak_test) failing_while_setting_aside -- --nocapture

.PHONY: soak-lines
soak-lines: soak-programs ## Send LINES=10000000 fuzzed lines through a running server, and look for leaks
	@PARLOUR_LINES=$(or $(LINES),10000000) $(soak_test) a_flood_of_lines -- --nocapture

.PHONY: soak-peers
soak-peers: soak-programs ## Let peers vanish without a word, and time how long they are kept (needs root and ip)
	@$(soak_test) soak_half_open -- --ignored --nocapture --test-threads 1

.PHONY: soak-hostile
soak-hostile: soak-programs ## Measure the cost to others of unfinished handshakes and of clients that never read
	@target/release/parlour-bench --only hostile --json var/bench/hostile.json

.PHONY: picture
picture: programs ## Make docs/parlour.svg, a picture of the running client
	@scripts/picture.sh

.PHONY: man
man: programs ## Write manual pages and shell completions into target/man
	@scripts/man.sh

.PHONY: clean
clean: ## Remove all builds (never keys/ or var/)
	@cargo clean --quiet
	@rm -rf bin dist
