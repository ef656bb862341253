//! The program: parse, run one command, leave with its exit code.

fn main() -> std::process::ExitCode {
    jiceng::cli::main()
}
