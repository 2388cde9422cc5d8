# Tests that run the server as a program, from outside. Each: a name, a script, the binary, a time limit.
find_program(PYTHON3 python3 REQUIRED)
if(TARGET millrace)
  add_test(NAME wire/rules COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/wire/rules_test.py $<TARGET_FILE:millrace>)
  set_tests_properties(wire/rules PROPERTIES TIMEOUT 120)
endif()
