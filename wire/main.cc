// `millrace`: reads the command line and runs the server.
#include <cstdio>

#include "wire/application.h"
#include "wire/options.h"

int main(int argc, char** argv) {
  millrace::commands::Settings settings;
  if (auto exit_code = millrace::wire::read_options(argc, argv, MILLRACE_VERSION, settings))
    return *exit_code;
  millrace::wire::Application application(std::move(settings));
  if (auto status = application.start(); !status.ok()) {
    std::fprintf(stderr, "millrace: %s\n", status.message().c_str());
    return 1;
  }
  return application.run();
}
