# Tests that run the server as a program, from outside. Each: a name, a script, the binary, a time limit.
find_program(PYTHON3 python3 REQUIRED)
add_test(NAME layers COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/layers_test.py ${CMAKE_SOURCE_DIR})
if(TARGET millrace)
  add_test(NAME coverage COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/coverage_test.py $<TARGET_FILE:millrace> ${CMAKE_SOURCE_DIR})
  # Stream cases: the product's own runner, as users have it (engine/testing/FORMAT.md).
  add_test(NAME cases/stream COMMAND millrace test ${CMAKE_CURRENT_SOURCE_DIR}/stream)
  add_test(NAME wire/rules COMMAND ${PYTHON3} ${CMAKE_CURRENT_SOURCE_DIR}/wire/rules_test.py $<TARGET_FILE:millrace>)
  set_tests_properties(wire/rules PROPERTIES TIMEOUT 120)
endif()

# compat/cases: unmodified clients and genuine servers against the binary. A program that cannot have all it needs says why, runs
# the rest and ends with 77: skipped. It gives up by itself a little before its time limit, so that the servers it started end with it.
# They wait more than they work, but mongosh, mongod and Kafka at once want the machine to themselves.
find_program(SYSTEM_PYTHON3 python3 PATHS /usr/bin NO_DEFAULT_PATH) # Debian's PyMongo belongs to it
if(NOT SYSTEM_PYTHON3)
  set(SYSTEM_PYTHON3 ${PYTHON3})
endif()

# end_to_end(NAME SECONDS PROGRAM [unittest options]...)
function(end_to_end name seconds program)
  add_test(NAME end-to-end/${name} COMMAND ${SYSTEM_PYTHON3} ${CMAKE_SOURCE_DIR}/compat/cases/${program}_test.py $<TARGET_FILE:millrace> ${ARGN})
  math(EXPR own_limit "${seconds} - 20")
  set_tests_properties(end-to-end/${name} PROPERTIES LABELS end-to-end SKIP_RETURN_CODE 77 TIMEOUT ${seconds} PROCESSORS 2
    ENVIRONMENT "MILLRACE_TEST_SECONDS=${own_limit}")
endfunction()

# compat/against_mongod: the language, case by case and at random, compared with a genuine MongoDB; skipped without one.
# 20,000 random cases take about a minute; on a machine too busy for that the search says how far it came.
function(against_mongod name)
  add_test(NAME compat/${name} COMMAND ${SYSTEM_PYTHON3} ${CMAKE_SOURCE_DIR}/compat/against_mongod/${name}.py ${ARGN})
  set_tests_properties(compat/${name} PROPERTIES LABELS compat SKIP_RETURN_CODE 77 TIMEOUT 240 PROCESSORS 2)
endfunction()

against_mongod(recorded_cases)
if(TARGET millrace)
  against_mongod(differential_search $<TARGET_FILE:millrace> --cases 20000 --seconds 140)
endif()

if(TARGET millrace)
  end_to_end(shell_basics 240 shell_basics)
  end_to_end(tour 300 tour)
  end_to_end(dead_letters 180 dead_letters)
  end_to_end(book 240 book Book)
  end_to_end(book_change_stream 240 book BookChangeStream)
  end_to_end(book_kafka 300 book BookKafka)
  end_to_end(lifecycle 400 lifecycle)
  end_to_end(bad_pipelines 120 bad_pipelines)
  end_to_end(drivers 180 drivers)
  end_to_end(compass 120 compass)
  end_to_end(manual 240 manual)
  end_to_end(kafka_to_mongodb 400 kafka_to_mongodb)
  end_to_end(change_stream_to_mongodb 400 change_stream_to_mongodb)
  end_to_end(target_down 400 target_down)
  end_to_end(crash 400 crash) # 50 kills; more: scripts/crash_test.sh
  end_to_end(damage 400 damage) # 200 damages; more: scripts/damage_test.sh
  end_to_end(disk_full 400 disk_full)
endif()
