import threading

import pytest

from runtime import hooks


@pytest.fixture
def hook():
    return hooks.Hook("a_point")


def test_declaring_a_hook_twice_gives_the_same_one():
    assert hooks.declare("test_hooks_same") is hooks.declare("test_hooks_same")
    assert hooks.find("test_hooks_same") is hooks.declare("test_hooks_same")


def test_a_hook_nobody_declared_is_not_found():
    assert hooks.find("test_hooks_missing") is None


@pytest.mark.parametrize("name", ["", "1st", "a-b", "a b", "é", "a\n"])
def test_a_hook_needs_an_identifier_for_a_name(name):
    with pytest.raises(ValueError, match="identifier"):
        hooks.declare(name)


def test_an_empty_hook_continues_and_does_not_exist(hook):
    assert not hook.exists()
    assert hook.invoke(1, 2, 3) == hooks.CONTINUE


def test_callbacks_run_in_order_of_registration_with_the_arguments(hook):
    calls = []
    for name in ("one", "two", "three"):
        hook.register(name, lambda *args, name=name: calls.append((name, args)) or hooks.CONTINUE)
    assert hook.exists()
    assert hook.invoke("x", 7) == hooks.CONTINUE
    assert calls == [("one", ("x", 7)), ("two", ("x", 7)), ("three", ("x", 7))]


@pytest.mark.parametrize("result", [hooks.DONE, hooks.ABORT])
def test_the_first_result_that_is_not_continue_ends_the_chain(hook, result):
    calls = []
    hook.register("one", lambda: hooks.CONTINUE)
    hook.register("two", lambda: result)
    hook.register("three", lambda: calls.append("three") or hooks.CONTINUE)
    assert hook.invoke() == result
    assert calls == []


def test_an_exception_of_a_callback_is_raised_and_ends_the_chain(hook):
    calls = []

    def fail():
        raise OSError("disk on fire")

    hook.register("one", fail)
    hook.register("two", lambda: calls.append("two") or hooks.CONTINUE)
    with pytest.raises(OSError, match="disk on fire"):
        hook.invoke()
    assert calls == []


@pytest.mark.parametrize("result", [None, 3, "done"])
def test_a_callback_that_returns_no_hook_result_is_named(hook, result):
    hook.register("sloppy", lambda: result)
    with pytest.raises(TypeError, match=r"'sloppy' of hook a_point returned"):
        hook.invoke()


def test_a_callback_name_is_taken_once(hook):
    hook.register("one", lambda: hooks.CONTINUE)
    with pytest.raises(ValueError, match="'one' already"):
        hook.register("one", lambda: hooks.DONE)
    assert hook.invoke() == hooks.CONTINUE


def test_an_unregistered_callback_is_not_called_any_more(hook):
    hook.register("one", lambda: hooks.DONE)
    hook.register("two", lambda: hooks.ABORT)
    assert hook.unregister("one")
    assert not hook.unregister("one")
    assert hook.invoke() == hooks.ABORT


def test_a_callback_may_unregister_itself_while_the_chain_runs(hook):
    calls = []

    def once():
        hook.unregister("once")
        calls.append("once")
        return hooks.CONTINUE

    hook.register("once", once)
    hook.register("next", lambda: calls.append("next") or hooks.CONTINUE)
    hook.invoke()
    hook.invoke()
    assert calls == ["once", "next", "next"]


def test_no_registration_is_lost_between_threads(hook):
    def work(worker):
        for number in range(100):
            hook.register(f"{worker}.{number}", lambda: hooks.CONTINUE)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(hook.unregister(f"{worker}.{number}") for worker in range(4) for number in range(100)) == 400
    assert not hook.exists()
